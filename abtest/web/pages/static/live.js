// Keeps a page of figures current: asks for the page again and changes only what differs, so that whatever is
// selected, focused, unfolded or hovered stays as it is.
"use strict";
const SECONDS = 3;
const PATIENCE = 10;

function patch(old, fresh) {
  if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
    old.replaceWith(fresh);
  } else if (old.nodeType === Node.ELEMENT_NODE) {
    patchAttributes(old, fresh);
    patchChildren(old, fresh);
  } else if (old.data !== fresh.data) {
    old.data = fresh.data;
  }
}

function patchAttributes(old, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
}

function patchChildren(old, fresh) {
  const there = [...old.childNodes];
  const wanted = [...fresh.childNodes];
  wanted.forEach((node, place) => (place < there.length ? patch(there[place], node) : old.append(node)));
  there.slice(wanted.length).forEach((node) => node.remove());
}

async function refresh() {
  try {
    const answer = await fetch(location.href, {
      headers: { Accept: "text/html" },
      signal: AbortSignal.timeout(PATIENCE * 1000),
    });
    if (!answer.ok) return outdated(`the server answered ${answer.status}`);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of ["freshness", "live"]) patch(document.getElementById(id), fresh.getElementById(id));
  } catch {
    outdated("the server does not answer");
  }
}

function outdated(why) {
  const freshness = document.getElementById("freshness");
  freshness.textContent = why;
  freshness.classList.add("old");
}

function wait() {
  setTimeout(async () => {
    if (!document.hidden) await refresh();
    wait();
  }, SECONDS * 1000);
}

wait();
document.addEventListener("visibilitychange", () => document.hidden || refresh());
