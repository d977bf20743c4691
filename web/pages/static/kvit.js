// The pages work without this. It keeps a page with data-refresh="<seconds>" on an element fresh: the element is replaced by the
// same one of a new answer, while the tab is visible and the reader has not paused it.
"use strict";

(() => {
  const live = document.querySelector("[data-refresh][id]");
  const button = document.querySelector("[data-pause]");
  if (!live || !button) return;

  let paused = false;
  const label = () => {
    button.textContent = paused ? "Refresh again" : "Pause refresh";
    button.setAttribute("aria-pressed", String(paused));
  };
  button.hidden = false;
  label();

  const refresh = async () => {
    if (paused || document.hidden || live.contains(document.activeElement)) return;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", redirect: "manual" });
      if (answer.type === "opaqueredirect") return location.reload(); // the session has ended
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(live.id);
      if (fresh && !paused) live.replaceChildren(...fresh.childNodes);
    } catch {
      // kvit is away: what is shown says its own time
    }
  };

  button.addEventListener("click", () => {
    paused = !paused;
    label();
    if (!paused) refresh();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) refresh();
  });
  setInterval(refresh, Number(live.dataset.refresh) * 1000);
})();
