// Keeps a page up to date: when the server says that something changed, the parts of the page that
// differ are replaced, and only those. Without this script every page works by being loaded again.
"use strict";

(function () {
  const live = document.querySelector("[data-live]");
  if (!live) return;
  const status = document.getElementById("status");
  const poll = Number(live.dataset.poll || 0) * 1000;
  let running = false;
  let again = false;

  function apply(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    const target = fresh.querySelector("[data-goto]");
    if (target) {
      window.location.replace(target.dataset.goto);
      return;
    }
    let said = "";
    for (const part of fresh.querySelectorAll("[data-part]")) {
      const old = live.querySelector('[data-part="' + part.dataset.part + '"]');
      if (!old || old.outerHTML === part.outerHTML) continue;
      said = said || part.dataset.say || "";
      old.replaceWith(document.adoptNode(part));
    }
    if (said && status) status.textContent = said;
  }

  async function refresh() {
    if (running) {
      again = true;
      return;
    }
    running = true;
    try {
      const answer = await fetch(live.dataset.live, {
        headers: { Accept: "text/html" },
        credentials: "same-origin",
        redirect: "error",
      });
      if (answer.status === 401) {
        window.location.reload();
        return;
      }
      if (answer.ok) apply(await answer.text());
    } catch {
      // The next sign of change tries again.
    } finally {
      running = false;
      if (again) {
        again = false;
        refresh();
      }
    }
  }

  let wait = 1000;
  function connect() {
    const events = new EventSource("/events");
    events.addEventListener("open", function () {
      wait = 1000;
      // What changed while nobody listened.
      refresh();
    });
    events.addEventListener("changed", refresh);
    events.addEventListener("error", function () {
      if (events.readyState !== EventSource.CLOSED) return;
      setTimeout(connect, wait);
      wait = Math.min(wait * 2, 60000);
    });
  }

  connect();
  if (poll) setInterval(refresh, poll);
})();
