// The pages of a batch and of a job: how long something has gone on, and whether the page is live.
"use strict";

(() => {
  const skew = Date.parse(document.documentElement.dataset.now) - Date.now() || 0;

  function elapsed(root = document) {
    root.querySelectorAll("[data-since]").forEach((element) => {
      const text = span((Date.now() + skew - Date.parse(element.dataset.since)) / 1000);
      if (element.textContent !== text) element.textContent = text;
    });
  }
  setInterval(elapsed, 1000);
  elapsed();
  document.addEventListener("htmx:after:swap", () => elapsed());

  const page = document.querySelector("[hx-sse\\:connect]"), dot = document.getElementById("live");
  if (!page || !dot) return;
  const tell = (words, stale) => {
    dot.hidden = !words;
    dot.textContent = words;
    page.classList.toggle("stale", stale);
  };
  document.addEventListener("htmx:sse:after:connection", () => tell("live", false));
  document.addEventListener("htmx:sse:error", () => tell("connecting again", true));
  page.addEventListener("stale", () => tell("may be old", true));
  page.addEventListener("fresh", () => tell("live", false));
  page.addEventListener("over", () => tell("sign in again", true));
})();
