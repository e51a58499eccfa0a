// Shows what the next devices would get while weights are typed.
"use strict";
const PAUSE = 250;
const form = document.querySelector("form.act");
const preview = document.getElementById("preview");
let waiting = 0;
let asked = 0;

async function show() {
  const number = ++asked;
  const body = new URLSearchParams(new FormData(form));
  body.set("preview", "1");
  const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (number !== asked) return; // something else was typed meanwhile
  for (const output of form.querySelectorAll("output")) {
    output.textContent = fresh.getElementById(output.id)?.textContent ?? "–";
  }
}

preview.hidden = true;
form.addEventListener("submit", (event) => {
  if (event.submitter !== preview) return; // where Enter comes from a field, too
  event.preventDefault();
  show().catch(() => {});
});
form.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => show().catch(() => {}), PAUSE);
});
