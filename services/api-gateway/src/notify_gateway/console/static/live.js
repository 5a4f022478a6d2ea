// Keeps regions marked data-live up to date. Pages work without it: reloading shows the same.
"use strict";

const PERIOD_MS = 2000;
const announcement = document.getElementById("announcement");

function refresh(region, page) {
  const fresh = page.getElementById(region.id);
  if (!fresh || fresh.innerHTML === region.innerHTML) {
    return;
  }
  const message = region.dataset.live;
  const focused = region.contains(document.activeElement) ? document.activeElement.id : "";
  region.innerHTML = fresh.innerHTML;
  if (!("live" in fresh.dataset)) {
    delete region.dataset.live;
  }
  if (focused) {
    document.getElementById(focused)?.focus({ preventScroll: true });
  }
  announcement.textContent = "";
  announcement.textContent = message;
}

async function poll() {
  const regions = document.querySelectorAll("[data-live]");
  if (regions.length === 0) {
    return;
  }
  if (document.visibilityState === "visible") {
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (response.ok) {
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        regions.forEach((region) => refresh(region, page));
      }
    } catch {
      // The server is away; the next round asks again.
    }
  }
  setTimeout(poll, PERIOD_MS);
}

setTimeout(poll, PERIOD_MS);
