"use strict";

// The home page. Whatever a record holds becomes text, never markup. A token stays in this tab.

const TOKEN = "netvision-token";
const PAGE_SIZE = 20;
const PREVIEW_LENGTH = 200;
const POLL_MS = 2000;
const MIN_SPAN_MS = 60 * 1000;
const MAX_SPAN_MS = 5 * 60 * 1000;
const PLOT = { width: 600, top: 1, bottom: 149 };

/** Characters that would be invisible, or change the order of those around them; line breaks and tabs are shown. */
const CONTROLS = /[^\P{Cc}\n\t]|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** The uuids that the pages up to the current one start after; null before the first record. */
let starts = [null];
let requested = 0;
let deleted = null;
let samples = [];

const element = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });

// --- Calls

async function call(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { Accept: "application/json", ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, { ...options, headers, cache: "no-store" });
  if (response.ok) return response;
  const problem = await response.json();
  if (response.status === 401) askForToken();
  throw new Error(response.status === 401 && !token ? "" : problem.detail);
}

function store(record) {
  return call("new", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(record),
  });
}

/** Do something, and show what went wrong with it, if anything. */
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    say(error instanceof TypeError ? `The service cannot be reached (${error.message}).` : error.message);
  }
}

function say(text, record = null) {
  deleted = record;
  element("message-text").textContent = text;
  element("undo").hidden = record === null;
  element("message").hidden = text === "";
}

// --- Token

function askForToken() {
  element("data").hidden = true;
  element("forget").hidden = true;
  hideLinks(true);
  if (element("access").hidden) {
    element("access").hidden = false;
    element("token").focus();
  }
}

function showData() {
  element("access").hidden = true;
  element("data").hidden = false;
  const hasToken = sessionStorage.getItem(TOKEN) !== null;
  element("forget").hidden = !hasToken;
  hideLinks(hasToken);
}

/** Hide the links to what needs a token, which a link cannot send. */
function hideLinks(areHidden) {
  for (const link of document.querySelectorAll(".needs-token")) link.hidden = areHidden;
}

async function enter(event) {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, element("token").value.trim());
  element("token").value = "";
  say("");
  await start();
}

function forget() {
  sessionStorage.removeItem(TOKEN);
  location.reload();
}

// --- State

async function showState() {
  const overview = await (await call("./")).json();
  element("version").textContent = overview.version;
  element("database").textContent = overview.database;
  element("count").textContent = overview.records === null ? "unknown" : number(overview.records);
  showStatus(overview.status, overview.reason);
}

function showStatus(status, reason) {
  if (element("status").textContent !== status) element("status").textContent = status;
  element("status").dataset.ready = status === "ready";
  if (element("reason").textContent !== (reason ?? "")) element("reason").textContent = reason ?? "";
  element("reason").hidden = !reason;
}

// --- Load

async function sampleLoad() {
  const text = await (await call("metrics", { headers: { Accept: "text/plain" } })).text();
  const requests = total(text, "netvision_request_seconds_count{");
  const records = total(text, "netvision_records_total{");
  const now = performance.now();
  const last = samples.at(-1);
  const rate = (current, before) => (last ? (Math.max(0, current - before) * 1000) / (now - last.time) : null);
  samples = samples.filter((sample) => sample.time > now - MAX_SPAN_MS);
  samples.push({
    time: now,
    requests,
    records,
    requestRate: rate(requests, last?.requests),
    recordRate: rate(records, last?.records),
  });
  draw(now);
}

/** Add up the series of a metric. */
function total(text, start) {
  const lines = text.split("\n").filter((line) => line.startsWith(start));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

function draw(now) {
  const rates = samples.filter((sample) => sample.requestRate !== null);
  if (rates.length === 0) return;
  const most = Math.max(...rates.map((sample) => Math.max(sample.requestRate, sample.recordRate)));
  const top = roundUp(most);
  const span = Math.max(MIN_SPAN_MS, now - rates[0].time);
  element("requests-line").setAttribute("d", line(rates, "requestRate", top, span));
  element("records-line").setAttribute("d", line(rates, "recordRate", top, span));
  element("top").textContent = `${number(top)}/s`;
  element("since").textContent = `${Math.round(span / 1000)} s ago`;
  const { requestRate, recordRate } = rates.at(-1);
  element("requests-rate").textContent = number(requestRate);
  element("records-rate").textContent = number(recordRate);
  const label = `${number(requestRate)} requests and ${number(recordRate)} records per second, at most ${number(most)}`;
  element("plot").setAttribute("aria-label", label);
}

/** Return the next of 1, 2, 5, 10, 20, … */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= value);
}

function line(rates, name, top, span) {
  const now = rates.at(-1).time;
  const points = rates.map((sample) => {
    const x = PLOT.width * (1 - (now - sample.time) / span);
    const y = PLOT.bottom - ((PLOT.bottom - PLOT.top) * sample[name]) / top;
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  return `M${points.join("L")}`;
}

// --- Records

async function showRecords() {
  const number = ++requested;
  const after = starts.at(-1);
  const response = await call(`${PAGE_SIZE + 1}${after ? `?after=${after}` : ""}`);
  const records = await response.json();
  if (number !== requested) return;
  if (records.length === 0 && starts.length > 1) {
    starts.pop();
    await showRecords();
    return;
  }
  const shown = records.slice(0, PAGE_SIZE);
  element("rows").replaceChildren(...shown.map(row));
  element("empty").hidden = shown.length > 0;
  element("page").textContent = `Page ${starts.length}`;
  element("next").dataset.after = shown.at(-1)?.uuid ?? "";
  enable("next", records.length > PAGE_SIZE);
  enable("previous", starts.length > 1);
  enable("first", starts.length > 1);
}

/** A button that is only marked as disabled keeps the focus. */
function enable(id, isEnabled) {
  element(id).setAttribute("aria-disabled", String(!isEnabled));
}

function turnPage(id, turn) {
  element(id).addEventListener("click", () => {
    if (element(id).getAttribute("aria-disabled") === "true") return;
    turn();
    attempt(showRecords);
  });
}

function row(record) {
  const item = document.createElement("tr");
  const uuid = item.insertCell();
  uuid.append(create("code", record.uuid));
  const text = item.insertCell();
  text.append(textOf(record.text));
  const action = item.insertCell();
  const button = create("button", "Delete");
  button.setAttribute("aria-label", `Delete ${record.uuid}`);
  button.addEventListener("click", () => attempt(() => remove(record.uuid, item.sectionRowIndex)));
  action.append(button);
  return item;
}

function create(name, text, className = "") {
  const node = document.createElement(name);
  node.textContent = text;
  node.className = className;
  return node;
}

/** Show a text, a long one in part until all of it is asked for. */
function textOf(text) {
  const box = create("div", "", "text");
  box.append(...visible(Array.from(text.slice(0, 2 * PREVIEW_LENGTH)).slice(0, PREVIEW_LENGTH).join("")));
  if (text === "") box.append(create("i", "empty"));
  if (text.length > 2 * PREVIEW_LENGTH) {
    const more = create("button", `Show all ${number(text.length)} characters`);
    more.addEventListener("click", () => {
      box.replaceChildren(...visible(text));
      box.tabIndex = 0;
      box.focus();
    });
    box.append(" … ", more);
  }
  return box;
}

/** Split a text into what is shown as it is and the controls in it, which are shown by their code points. */
function visible(text) {
  const nodes = [];
  let end = 0;
  for (const { 0: control, index } of text.matchAll(CONTROLS)) {
    nodes.push(text.slice(end, index));
    nodes.push(create("code", `U+${control.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`, "control"));
    end = index + control.length;
  }
  return [...nodes, text.slice(end)];
}

async function add(event) {
  event.preventDefault();
  await attempt(async () => {
    const stored = await (await store({ text: element("text").value })).json();
    element("text").value = "";
    say(`Stored ${stored.uuid}.`);
    await refresh();
  });
  element("text").focus();
}

async function remove(uuid, position) {
  const record = await (await call(encodeURIComponent(uuid), { method: "DELETE" })).json();
  say(`Deleted ${uuid}.`, record);
  await refresh();
  const buttons = element("rows").querySelectorAll("td:last-child button");
  (buttons[Math.min(position, buttons.length - 1)] ?? element("text")).focus();
}

async function undo() {
  const record = deleted;
  await store(record);
  say(`Stored ${record.uuid} again.`);
  await refresh();
}

async function refresh() {
  await Promise.all([showRecords(), showState()]);
}

// --- The page as a whole

async function start() {
  await attempt(async () => {
    await showState();
    showData();
    await Promise.all([showRecords(), sampleLoad()]);
  });
}

async function poll() {
  if (!document.hidden && element("access").hidden) await update();
  setTimeout(poll, POLL_MS);
}

async function update() {
  const wasReady = element("status").dataset.ready === "true";
  try {
    await Promise.all([showState(), sampleLoad()]);
  } catch (error) {
    if (element("access").hidden) showStatus("not reachable", error.message);
    return;
  }
  if (wasReady || element("status").dataset.ready !== "true") return;
  say("");
  await start();
}

turnPage("first", () => (starts = [null]));
turnPage("previous", () => starts.pop());
turnPage("next", () => starts.push(element("next").dataset.after));
element("access").addEventListener("submit", enter);
element("forget").addEventListener("click", forget);
element("add").addEventListener("submit", add);
element("undo").addEventListener("click", () => attempt(undo));
element("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) element("add").requestSubmit();
});

start().then(() => setTimeout(poll, POLL_MS));
