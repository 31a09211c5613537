// The list of batches: the filter applies as it is chosen, addresses stay short.
"use strict";
(() => {
  const filter = document.getElementById("filter");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (filter && zone) {
    document.getElementById("zone").value = zone;
    document.getElementById("zone-said").textContent = `days of ${zone}`;
  }
  filter?.addEventListener("formdata", (event) => {
    const days = event.formData.get("since") || event.formData.get("until");
    if (!days) event.formData.delete("zone");
    for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
  });
  filter?.addEventListener("change", (event) => {
    // A date is typed in parts, and each part that makes it whole is a change.
    if (!event.target.matches("input[type=checkbox], select")) return;
    sessionStorage.setItem("focus", event.target.id);
    filter.requestSubmit();
  });
  const focused = sessionStorage.getItem("focus");
  sessionStorage.removeItem("focus");
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
})();
