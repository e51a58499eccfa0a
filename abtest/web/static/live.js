// Keeps a page of figures current: asks for the page again and puts in what changed.
"use strict";
const SECONDS = 3;

function exchange(fresh, id) {
  const old = document.getElementById(id);
  const replacement = fresh.getElementById(id);
  if (!replacement || replacement.outerHTML === old.dataset.source) return;
  const source = replacement.outerHTML;
  for (const details of old.querySelectorAll("details[open]")) {
    fresh.getElementById(details.id)?.setAttribute("open", "");
  }
  const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  old.replaceWith(replacement);
  replacement.dataset.source = source;
  if (focused) replacement.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    exchange(fresh, "freshness");
    exchange(fresh, "live");
  } catch {
    const freshness = document.getElementById("freshness");
    freshness.textContent = "the server does not answer";
    freshness.classList.add("old");
    delete freshness.dataset.source;
  }
}

for (const id of ["freshness", "live"]) {
  const element = document.getElementById(id);
  element.dataset.source = element.outerHTML;
}
setInterval(refresh, SECONDS * 1000);
document.addEventListener("visibilitychange", refresh);
