// What is known now, and how fresh the connection that brings it is. `state` is the only place where data is kept.

import { setServerTime } from "./format.js";

const SILENT_AFTER_MS = 14000;

export const state = {
  hub: null,
  readings: new Map(),
  sections: {},
  connection: { state: "connecting", sinceMs: Date.now() },
};

let source = null;
let heardMs = 0;
let told = () => {};

function connection(name) {
  if (state.connection.state === name) return;
  state.connection = { state: name, sinceMs: name === "lost" ? heardMs || Date.now() : Date.now() };
  told(new Set(["connection"]));
}

function take(event, apply) {
  const body = JSON.parse(event.data);
  heardMs = Date.now();
  setServerTime(body.server_t);
  const changed = apply(body);
  connection("live");
  told(changed);
}

function snapshot({ server_t: _, hub, readings, ...sections }) {
  state.hub = hub;
  state.readings = new Map(readings.map((row) => [row.sensor, row]));
  state.sections = sections;
  return new Set(["hub", "readings", ...Object.keys(sections)]);
}

function latest({ readings }) {
  for (const row of readings) state.readings.set(row.sensor, row);
  return new Set(["readings"]);
}

function sections({ server_t: _, ...changed }) {
  Object.assign(state.sections, changed);
  return new Set(Object.keys(changed));
}

function open() {
  source?.close();
  source = new EventSource("/api/v1/live");
  source.addEventListener("snapshot", (event) => take(event, snapshot));
  source.addEventListener("latest", (event) => take(event, latest));
  source.addEventListener("states", (event) => take(event, sections));
  source.addEventListener("beat", (event) => take(event, () => new Set()));
  source.addEventListener("error", () => {
    connection("lost");
    // A refusal (503) ends an EventSource for good; a lost connection it mends by itself.
    if (source.readyState === EventSource.CLOSED) setTimeout(open, 2000);
  });
}

// The hub says something at least every ten seconds; silence beyond that is a dead connection that nobody has closed.
function watch() {
  if (state.connection.state !== "live" || Date.now() - heardMs < SILENT_AFTER_MS) return;
  connection("lost");
  open();
}

export function follow(listener) {
  told = listener;
  open();
  setInterval(watch, 2000);
}
