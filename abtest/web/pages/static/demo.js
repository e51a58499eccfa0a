// Plays an app: makes a token, asks for its experiments, shows its button, reports what happens, and keeps what it
// could not send. Every value comes from whoever set up the experiment, so it is only ever text or a checked colour.
"use strict";
const BASE = document.documentElement.dataset.base;
const EXPERIMENTS = `${BASE}/api/v1/experiments`;
const EVENTS = `${BASE}/api/v1/events`;
const OWN = { button_color: "#5A6270", price: "9.99" };
const FITS = { button_color: /^#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})$/i, price: /^\d{1,9}(?:\.\d{1,2})?$/ };
const KEPT = `abtest-demo${BASE}`;
const MOST_EVENTS = 500;
const MOST_ENTRIES = 50;
const PATIENCE = 10;
const element = (id) => document.getElementById(id);
const FIELDS = element("device").querySelectorAll("[name]");
const SNIPPETS = Array.from(document.querySelectorAll("#code pre"), (code) => [code, code.textContent]);
let state = load();
let exposed = new Set();
let known = false;
let visible = false;
let bought = 0;
let entered = 0;
let timer = null;
let turn = Promise.resolve();

function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT));
    if (/^[\x21-\x7e]{1,128}$/.test(kept.token) && Array.isArray(kept.pending) && kept.said) return kept;
  } catch {} // nothing is kept, or the browser does not let it be read
  return device();
}

function device() {
  return { token: identifier(), etag: null, values: {}, pending: [], said: said() };
}

// What the device says about itself.
function said() {
  return Object.fromEntries(Array.from(FIELDS, (field) => [field.name, field.value]));
}

function asked() {
  const query = new URLSearchParams(Object.entries(state.said).filter(([, value]) => value)).toString();
  return query ? `${EXPERIMENTS}?${query}` : EXPERIMENTS;
}

function keep() {
  try {
    localStorage.setItem(KEPT, JSON.stringify(state));
  } catch {} // the device then lasts as long as the page
}

// Not crypto.randomUUID, which only pages from https and from localhost have.
function identifier() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// What the app shows for a key: the value that it got if it can use it, else its own.
function shown(key) {
  const fits = Object.hasOwn(state.values, key) && FITS[key].test(state.values[key]);
  return { value: fits ? state.values[key] : OWN[key], fits };
}

// One thing after the other, so that no event belongs to two devices.
function inTurn(work) {
  turn = turn.then(work).catch((error) => say(String(error)));
  return turn;
}

async function ask() {
  const headers = { "Device-Token": state.token };
  if (state.etag) headers["If-None-Match"] = state.etag;
  const answer = await request("GET", asked(), headers, undefined, "asks for its values");
  known = answer !== null && (answer.status === 200 || answer.status === 304);
  if (answer?.status === 200) {
    state.values = JSON.parse(answer.text);
    state.etag = answer.headers.get("ETag");
    keep();
  }
  say(known ? "" : "No values came. The app keeps the values that it had, or uses its defaults.");
  draw();
  reportShown();
}

function reportShown() {
  if (!visible || !known) return;
  const keys = Object.keys(OWN).filter((key) => Object.hasOwn(state.values, key) && !exposed.has(key));
  keys.forEach((key) => exposed.add(key));
  report(keys.map((experiment) => ({ name: "exposure", experiment, value: shown(experiment).value })));
}

function report(events) {
  const at = new Date().toISOString();
  state.pending.push(...events.map((event) => ({ id: identifier(), ...event, at })));
  keep();
  if (events.length) inTurn(send);
}

async function send() {
  clearTimeout(timer);
  if (state.pending.length && !known) await ask();
  if (!state.pending.length) return;
  const events = state.pending.slice(0, MOST_EVENTS);
  const headers = { "Device-Token": state.token, "Content-Type": "application/json" };
  const body = `{"events":[\n${events.map((event) => JSON.stringify(event)).join(",\n")}\n]}`;
  const names = [...new Set(events.map((event) => event.name))].join(" and ");
  const answer = known && (await request("POST", EVENTS, headers, body, `reports ${names}`));
  if (answer && answer.status < 500 && answer.status !== 404 && answer.status !== 429) {
    state.pending = state.pending.slice(events.length);
    keep();
    say("");
  } else {
    known = known && answer?.status !== 404;
    const seconds = Number(answer?.headers?.get("Retry-After")) || PATIENCE;
    say(`Not sent yet. The app will try again in ${seconds} s with the same ids.`);
    timer = setTimeout(() => inTurn(send), seconds * 1000);
  }
}

async function request(method, path, headers, body, purpose) {
  const answered = enter(method, path, headers, body, purpose);
  try {
    const signal = AbortSignal.timeout(PATIENCE * 1000);
    const answer = await fetch(path, { method, headers, body, signal, cache: "no-store", credentials: "omit" });
    const text = await answer.text();
    answered(`${answer.status} ${answer.statusText}`, answer.headers, text);
    return { status: answer.status, headers: answer.headers, text };
  } catch {
    answered("no answer", new Headers(), "");
    return null;
  }
}

// Writes a request down; what it returns writes its answer below.
function enter(method, path, headers, body, purpose) {
  const [entry, details, summary] = ["li", "details", "summary"].map((name) => document.createElement(name));
  const [line, status, sent, got] = ["code", "strong", "pre", "pre"].map((name) => document.createElement(name));
  line.textContent = `${method} ${path}`;
  status.textContent = "…";
  sent.textContent = message(`${method} ${path}`, Object.entries(headers), body);
  summary.append(line, " ", status, ` ${purpose}`);
  details.append(summary, sent, got);
  details.open = true;
  got.hidden = true;
  entry.append(details);
  const log = element("log");
  log.prepend(entry);
  log.start = ++entered;
  while (log.children.length > MOST_ENTRIES) log.lastElementChild.remove();
  return (outcome, answerHeaders, text) => {
    const told = ["Content-Type", "ETag", "Retry-After"].filter((name) => answerHeaders.has(name));
    status.textContent = outcome;
    got.textContent = message(outcome, told.map((name) => [name, answerHeaders.get(name)]), text);
    got.hidden = false;
  };
}

function message(first, headers, body) {
  const lines = [first, ...headers.map(([name, value]) => `${name}: ${value}`)];
  return lines.join("\n") + (body ? `\n\n${body}` : "");
}

function draw() {
  const button = element("buy");
  const [red, green, blue] = opaque(shown("button_color").value);
  button.style.setProperty("background-color", `rgb(${red}, ${green}, ${blue})`);
  button.style.setProperty("color", luminance(red, green, blue) > 0.179 ? "#000000" : "#ffffff");
  button.textContent = `Buy for ${shown("price").value}`;
  element("token").value = state.token;
  element("copy").textContent = "Copy";
  const terms = document.querySelectorAll("#audiences dt");
  const audiences = new Map(Array.from(terms, (key) => [key.textContent, key.nextElementSibling.textContent]));
  const keys = [...new Set([...Object.keys(OWN), ...Object.keys(state.values), ...audiences.keys()])].sort();
  element("values").replaceChildren(...keys.map((key) => row(key, audiences.get(key))));
  const words = { ADDRESS: new URL(asked(), location.href).href, TOKEN: state.token };
  for (const [code, text] of SNIPPETS) code.textContent = text.replace(/ADDRESS|TOKEN/g, (word) => words[word]);
}

function row(key, audience) {
  const [line, name, value, use] = ["tr", "th", "td", "td"].map((kind) => document.createElement(kind));
  name.scope = "row";
  name.textContent = key;
  if (audience) {
    const only = document.createElement("small");
    only.textContent = `audience: ${audience}`;
    name.append(only);
  }
  value.textContent = Object.hasOwn(state.values, key) ? state.values[key] : "not enrolled";
  use.textContent = !Object.hasOwn(OWN, key)
    ? "not used by this app"
    : shown(key).fits
      ? "shown"
      : `shows its default, ${OWN[key]}`;
  line.append(name, value, use);
  return line;
}

// Red, green and blue of #rgb, #rgba, #rrggbb or #rrggbbaa, on white where it is transparent.
function opaque(colour) {
  const digits = colour.length > 5 ? colour.slice(1) : Array.from(colour.slice(1), (digit) => digit + digit).join("");
  const [red, green, blue, alpha = 255] = digits.match(/../g).map((pair) => parseInt(pair, 16));
  return [red, green, blue].map((part) => Math.round(255 + ((part - 255) * alpha) / 255));
}

// Relative luminance (WCAG 2.2); above 0.179 black has more contrast than white, and either has at least 4.5 to 1.
function luminance(...parts) {
  const [red, green, blue] = parts
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function say(text) {
  element("message").textContent = text;
  element("message").hidden = !text;
}

function busy(is) {
  for (const id of ["buy", "fresh", "again"]) element(id).disabled = is;
}

async function whileBusy(work) {
  const focused = document.activeElement;
  busy(true);
  await inTurn(work);
  busy(false);
  if (focused !== document.body) focused.focus();
}

// An experiment may have been added since the page was opened.
async function readAudiences() {
  try {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(PATIENCE * 1000) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.ok) element("audiences").replaceWith(page.getElementById("audiences"));
  } catch {} // those that are known stay
}

async function fresh() {
  if (state.pending.length) await send();
  await readAudiences();
  state = device();
  exposed = new Set();
  known = false;
  bought = 0;
  element("bought").textContent = "";
  keep();
  await ask();
}

element("buy").addEventListener("click", () => {
  const { value: amount } = shown("price");
  bought += 1;
  element("bought").textContent = `Bought ${bought === 1 ? "" : `${bought} times, the last `}for ${amount}.`;
  report([{ name: "purchase", amount }]);
});
element("again").addEventListener("click", () => whileBusy(ask));
element("device").addEventListener("submit", (event) => {
  event.preventDefault();
  whileBusy(fresh);
});
element("device").addEventListener("input", () => {
  state.said = said();
  keep();
  draw();
});
// Not navigator.clipboard, which only pages from https and from localhost have.
element("copy").addEventListener("click", () => {
  element("token").select();
  if (document.execCommand("copy")) element("copy").textContent = "Copied";
});
for (const field of FIELDS) field.value = state.said[field.name];
element("demo").hidden = false;
element("code").hidden = false;
draw();
new IntersectionObserver(
  ([entry]) => {
    visible = entry.isIntersecting;
    reportShown();
  },
  { threshold: 0.5 },
).observe(element("buy"));
whileBusy(async () => {
  await ask();
  await send();
});
