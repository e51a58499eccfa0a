// Runs a simulation while showing its progress; without this script the form gives the same result at the end.
"use strict";
const form = document.getElementById("simulate");
const cancel = document.getElementById("cancel");
const progress = document.getElementById("progress");
const message = document.getElementById("message");
const result = document.getElementById("result");
let source = null;

function end(text) {
  source?.close();
  source = null;
  progress.hidden = cancel.hidden = true;
  form.querySelector("[type=submit]").disabled = false;
  message.hidden = !text;
  message.textContent = text;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const devices = Number(form.devices.value);
  end("");
  result.replaceChildren();
  form.querySelector("[type=submit]").disabled = true;
  progress.hidden = cancel.hidden = false;
  document.getElementById("bar").removeAttribute("value");
  document.getElementById("rate").textContent = "starting";
  source = new EventSource(`/simulate/run?devices=${encodeURIComponent(form.devices.value)}`);
  source.addEventListener("progress", (step) => {
    const { done, rate } = JSON.parse(step.data);
    document.getElementById("bar").value = done / devices;
    document.getElementById("rate").textContent =
      `${done.toLocaleString("en")} of ${devices.toLocaleString("en")}, ${rate.toLocaleString("en")} devices per second`;
  });
  source.addEventListener("result", (tables) => {
    result.innerHTML = tables.data;
    end("");
  });
  source.addEventListener("failed", (problem) => end(JSON.parse(problem.data).detail));
  source.onerror = () => end("The simulation did not end; the server may be busy or gone. Try again.");
});
cancel.addEventListener("click", () => end("Cancelled. Nothing was stored."));
