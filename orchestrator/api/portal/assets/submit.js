// Rows of the table of jobs: added, removed, numbered.
"use strict";
(() => {
  const body = document.querySelector("#jobs tbody");
  if (!body) return;
  const number = () => [...body.rows].forEach((row, i) => {
    row.cells[0].textContent = String(i + 1);
    row.querySelectorAll("[aria-label]").forEach((e) => {
      e.setAttribute("aria-label", e.getAttribute("aria-label").replace(/\d+$/, String(i + 1)));
    });
  });
  document.querySelectorAll("[data-add-row], [data-remove-row]").forEach((e) => { e.hidden = false; });
  document.addEventListener("click", (event) => {
    const add = event.target.closest("[data-add-row]");
    if (add && body.rows.length < Number(add.dataset.addRow)) {
      const row = body.rows[body.rows.length - 1].cloneNode(true);
      row.querySelectorAll(".wrong").forEach((e) => e.remove());
      row.querySelectorAll("[aria-invalid]").forEach((e) => e.removeAttribute("aria-invalid"));
      body.append(row);
      number();
      row.querySelector("input").focus();
    }
    const remove = event.target.closest("[data-remove-row]");
    if (remove && body.rows.length > 1) {
      remove.closest("tr").remove();
      number();
    }
  });
})();
