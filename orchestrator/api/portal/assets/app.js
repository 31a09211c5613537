// What pages do by themselves: times in the viewer's zone, clocks that run, selections.
// Everything here improves a page that works without it.
"use strict";

const PARTS = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };
const THIS_YEAR = new Intl.DateTimeFormat(undefined, { ...PARTS, second: "2-digit" });
const ANY_YEAR = new Intl.DateTimeFormat(undefined, { ...PARTS, year: "numeric" });
const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

// The server's clock, as far as this page can tell: countdowns must not go by a wrong watch.
const SKEW_MS = (() => {
  const told = document.documentElement.dataset.now;
  return told ? Date.parse(told) - Date.now() : 0;
})();
const serverNow = () => Date.now() + SKEW_MS;

function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  for (const [i, [word, size]] of UNITS.entries()) {
    if (whole >= size || size === 1) {
      const rest = Math.floor((whole % size) / (UNITS[i + 1]?.[1] ?? 1));
      return `${Math.floor(whole / size)} ${word}` + (rest && i < 3 ? ` ${rest} ${UNITS[i + 1][0]}` : "");
    }
  }
}

function tell(time) {
  const at = Date.parse(time.dateTime), style = time.dataset.style;
  if (Number.isNaN(at)) return;
  const away = (at - serverNow()) / 1000;
  const sameYear = new Date(at).getFullYear() === new Date(serverNow()).getFullYear();
  let text = (sameYear ? THIS_YEAR : ANY_YEAR).format(at);
  if (style === "ago") text = away > -1 ? "now" : `${span(-away)} ago`;
  if (style === "until") text = away < 1 ? "now" : `in ${span(away)}`;
  if (time.textContent !== text) time.textContent = text;
}

// A ring that empties: <svg class="ring" data-deadline=ISO data-total=SECONDS> with circle.left of
// pathLength 100, and beside it any element with data-countdown=ISO.
function ring(svg) {
  const left = Math.max(0, (Date.parse(svg.dataset.deadline) - serverNow()) / 1000);
  const share = Math.min(1, left / Number(svg.dataset.total || 1));
  svg.querySelector(".left")?.setAttribute("stroke-dashoffset", String(100 * (1 - share)));
}
function countdown(element) {
  const left = (Date.parse(element.dataset.countdown) - serverNow()) / 1000;
  const text = span(left);
  if (element.textContent !== text) element.textContent = text;
}
// How long something has gone on.
function elapsed(element) {
  const text = span((serverNow() - Date.parse(element.dataset.since)) / 1000);
  if (element.textContent !== text) element.textContent = text;
}

function tick(root = document) {
  root.querySelectorAll("time[data-style]").forEach(tell);
  root.querySelectorAll("svg.ring[data-deadline]").forEach(ring);
  root.querySelectorAll("[data-countdown]").forEach(countdown);
  root.querySelectorAll("[data-since]").forEach(elapsed);
}

// Selections: a form.selects with input[name=id] boxes and one input.all; data-count tells how many.
function select(form) {
  // Not form.id: a field of that name hides it.
  const id = form.getAttribute("id");
  const boxes = [...document.querySelectorAll(`input[name=id][form="${id}"], #${id} input[name=id]`)];
  const chosen = boxes.filter((box) => box.checked).length;
  form.querySelectorAll("[data-count]").forEach((e) => { e.textContent = String(chosen); });
  form.querySelectorAll("[data-needs-selection]").forEach((e) => { e.disabled = chosen === 0; });
  document.querySelectorAll(`input.all[form="${id}"], #${id} input.all`).forEach((all) => {
    all.checked = chosen > 0 && chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
  });
}
const selections = () => document.querySelectorAll("form.selects").forEach(select);

document.addEventListener("change", (event) => {
  const box = event.target;
  if (box.matches?.("input.all")) {
    const form = box.form;
    for (const each of form.elements) if (each.name === "id" && each.type === "checkbox") each.checked = box.checked;
  }
  if (box.form?.matches("form.selects")) select(box.form);
});
// A button with data-confirm asks first.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-confirm]");
  if (button && !window.confirm(button.dataset.confirm)) event.preventDefault();
  const copy = event.target.closest?.("[data-copy]");
  if (copy) {
    navigator.clipboard?.writeText(document.getElementById(copy.dataset.copy).textContent.trim());
    copy.textContent = "Copied";
  }
});
// A menu closes when something else is clicked, and on Escape.
document.addEventListener("click", (event) => {
  document.querySelectorAll("details.menu[open]").forEach((menu) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  document.querySelectorAll("details.menu[open]").forEach((menu) => {
    menu.open = false;
    menu.querySelector("summary").focus();
  });
});
// What arrives live is told in the same words at once.
document.addEventListener("htmx:after:swap", () => { tick(); selections(); });
// Live updates: a session that is over leads to the way in; what may be old says so.
document.addEventListener("over", () => location.reload());
function age(old) {
  const dot = document.getElementById("live");
  if (dot) {
    dot.hidden = false;
    dot.textContent = old ? "may be old" : "live";
    dot.classList.toggle("stale", old);
  }
  const told = document.getElementById("stale");
  if (!old) told?.remove();
  if (!old || told) return;
  const note = Object.assign(document.createElement("p"), { id: "stale", className: "note bad" });
  note.setAttribute("role", "status");
  note.textContent = "This page may be out of date: the server does not answer. It is asked again until it does.";
  document.getElementById("content").prepend(note);
}
for (const name of ["stale", "htmx:sse:error"]) document.addEventListener(name, () => age(true));
for (const name of ["fresh", "htmx:sse:after:connection"]) document.addEventListener(name, () => age(false));

function begin() {
  tick();
  selections();
  setInterval(tick, 1000);
}
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
else begin();
