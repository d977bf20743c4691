// The pages work without this. It keeps a page with data-refresh="<seconds>" on an element fresh: the element is replaced by the
// same one of a new answer, and what has data-live with it, while the tab is visible and the reader has not paused it. It ends when
// the answer asks for no more.
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
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById(live.id);
      if (!fresh || paused) return;
      for (const part of [live, ...document.querySelectorAll("[data-live][id]")]) {
        part.replaceChildren(...(page.getElementById(part.id)?.childNodes ?? []));
      }
      if (fresh.dataset.refresh) return;
      clearInterval(timer);
      paused = button.hidden = true;
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
  const timer = setInterval(refresh, Number(live.dataset.refresh) * 1000);
})();
