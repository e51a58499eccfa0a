// Runs a simulation while showing its progress; without this script the form gives the same result at the end.
"use strict";
const form = document.getElementById("simulate");
const submit = form.querySelector("[type=submit]");
const cancel = document.getElementById("cancel");
const progress = document.getElementById("progress");
const bar = document.getElementById("bar");
const rate = document.getElementById("rate");
const message = document.getElementById("message");
const result = document.getElementById("result");
const number = (value) => value.toLocaleString(document.documentElement.lang);
const GONE = "The simulation did not finish. The server may be busy or stopped; try again.";
let source = null;
let done = 0;

function begin(devices) {
  message.hidden = true;
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  submit.disabled = true;
  progress.hidden = cancel.hidden = false;
  bar.removeAttribute("value");
  rate.textContent = "starting";
  done = 0;
  const url = `${form.getAttribute("action")}/run?${new URLSearchParams(new FormData(form))}`;
  source = new EventSource(url);
  source.addEventListener("progress", (step) => {
    const { done: sofar, rate: pace } = JSON.parse(step.data);
    done = sofar;
    bar.value = done / devices;
    const speed = pace === null ? "" : `, ${number(pace)} devices per second`;
    rate.textContent = `${number(done)} of ${number(devices)}${speed}`;
  });
  source.addEventListener("result", (tables) => {
    result.innerHTML = tables.data;
    end("");
  });
  source.addEventListener("failed", (problem) => end(JSON.parse(problem.data).detail));
  source.onerror = () => (source.readyState === EventSource.CLOSED ? refused(url) : end(GONE));
}

// A request that was refused has a problem for an answer, which an EventSource does not tell.
async function refused(url) {
  try {
    end((await (await fetch(url)).json()).detail);
  } catch {
    end(GONE);
  }
}

function end(text) {
  source.close();
  const focused = document.activeElement === cancel;
  progress.hidden = cancel.hidden = true;
  submit.disabled = false;
  if (focused) submit.focus();
  message.hidden = !text;
  message.textContent = text;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  begin(Number(form.devices.value));
});
cancel.addEventListener("click", () => {
  result.replaceChildren();
  end(`Cancelled after ${number(done)} devices. Nothing was stored.`);
});
