// The strips of devices: times in the viewer's zone, and what lies under the pointer.
"use strict";
(() => {
  const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);

  function clocks(root) {
    root.querySelectorAll("[data-clock]").forEach((each) => {
      const text = CLOCK.format(Date.parse(each.dataset.clock));
      if (each.textContent !== text) each.textContent = text;
    });
    // Our own tip says more, and in the viewer's zone.
    root.querySelectorAll(".strip title").forEach((each) => each.remove());
  }

  function show(at, x, y) {
    const { tip: said, facts, from, to } = at.dataset;
    const title = document.createElement("strong");
    title.textContent = said;
    const lines = [`${CLOCK.format(Date.parse(from))} – ${CLOCK.format(Date.parse(to))}`];
    if (facts) lines.push(facts);
    tip.replaceChildren(title, lines.join(" · "));
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(x - box.width / 2, innerWidth - box.width - 8))}px`;
    tip.style.top = `${y - box.height - 10 > 0 ? y - box.height - 10 : y + 20}px`;
  }
  const under = (event) => event.target.closest?.(".strip [data-tip]");

  document.addEventListener("pointermove", (event) => {
    const at = under(event);
    if (at) show(at, event.clientX, at.getBoundingClientRect().top);
    else tip.hidden = true;
  });
  document.addEventListener("focusin", (event) => {
    const at = under(event);
    if (!at) { tip.hidden = true; return; }
    const box = at.getBoundingClientRect();
    show(at, box.left + box.width / 2, box.top);
  });
  document.addEventListener("focusout", () => { tip.hidden = true; });
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  document.addEventListener("htmx:after:swap", () => clocks(document));
  clocks(document);
})();
