// Shows beside the form of an experiment what comes of it while somebody types, and adds and removes rows in place.
// Without this script its buttons do the same, with the page loaded again.
"use strict";
const form = document.getElementById("experiment");
const prospect = document.getElementById("prospect");
const PAUSE = 300;
let waiting = null;
let asking = null;

document.documentElement.classList.add("scripted");

function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(show, PAUSE);
}

async function show() {
  clearTimeout(waiting);
  asking?.abort();
  asking = new AbortController();
  try {
    const answer = await fetch(form.dataset.preview, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      signal: asking.signal,
    });
    if (!answer.ok) return outdated(form.dataset.failed.replace("{}", answer.status));
    prospect.innerHTML = await answer.text();
  } catch (failure) {
    if (failure.name !== "AbortError") outdated(form.dataset.unanswered);
  }
}

function outdated(why) {
  const note = document.createElement("p");
  note.className = "fault";
  note.textContent = why;
  prospect.querySelector(":scope > .fault")?.remove();
  prospect.prepend(note);
}

// The number of a row is in the ids of its fields, their labels and what its button does.
function number(list) {
  const rows = list.querySelectorAll("[data-row]");
  rows.forEach((row, place) => {
    for (const each of row.querySelectorAll("[id], [aria-label], button")) {
      for (const name of ["id", "aria-label", "title"]) {
        if (each.hasAttribute(name)) each.setAttribute(name, each.getAttribute(name).replace(/\d+$/, place + 1));
      }
      if (each.type === "radio") each.value = place + 1;
      if (each.name === "do") each.value = each.value.replace(/\d+$/, place + 1);
    }
  });
  list.parentElement.querySelector(".add button").hidden = rows.length >= Number(list.dataset.most);
}

function add(list) {
  const last = [...list.querySelectorAll("[data-row]")].at(-1);
  const row = last.cloneNode(true);
  for (const each of row.querySelectorAll(".fault")) each.remove();
  for (const each of row.querySelectorAll("[aria-invalid]")) {
    each.removeAttribute("aria-invalid");
    each.removeAttribute("aria-describedby");
  }
  for (const each of row.querySelectorAll("input:not(.short)")) {
    if (each.type === "radio") each.checked = false;
    else each.value = "";
  }
  for (const each of row.querySelectorAll("select")) each.selectedIndex = 0;
  last.after(row);
  number(list);
  paint(row);
  row.querySelector("input, select").focus();
}

function remove(button) {
  const row = button.closest("[data-row]");
  const list = row.closest("[data-rows]");
  const next = row.nextElementSibling ?? row.previousElementSibling;
  const chosen = row.querySelector("input[type=radio]:checked");
  row.remove();
  number(list);
  if (chosen) list.querySelector("input[type=radio]").checked = true;
  next.querySelector("input, select").focus();
}

// The button goes with what it proposed, and must not take the focus along.
function plan(devices) {
  form.elements.planned.value = devices;
  form.elements.planned.focus();
}

function paint(row) {
  const field = row.querySelector("[name=value]");
  if (!field) return;
  const text = field.value.trim();
  const colour = /^(#|rgb|hsl|[a-z]+$)/i.test(text) && CSS.supports("color", text) && !/^(inherit|initial|unset|revert|currentcolor|transparent)/i.test(text);
  row.querySelector("rect").setAttribute("fill", colour ? text : "none");
}

form.addEventListener("input", (event) => {
  const row = event.target.closest("[data-row]");
  if (row) paint(row);
  soon();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[name=do]");
  if (!button || button.form !== form || button.value === "save") return;
  event.preventDefault();
  const [verb, list] = button.value.split("-");
  if (verb === "add") add(form.querySelector(`[data-rows=${list}]`));
  else if (verb === "remove") remove(button);
  else if (verb === "plan") plan(button.dataset.planned);
  show();
});

// A second click would find that the key exists already.
form.addEventListener("submit", (event) => {
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
addEventListener("pageshow", () => delete form.dataset.sent);

// The browser sends Enter in a field to the first button, which is the one for the preview: nothing is created by it.
