// Puts words, data and panels together: what changed is drawn once per frame, ages tick each second.

import { renderAttention } from "./attention.js";
import { byId, el } from "./dom.js";
import { ageText, clockText, tickAges, zoneText } from "./format.js";
import { follow, state } from "./live.js";
import { planMap, renderLegend, renderMap } from "./map.js";
import { renderAgreements, renderFlows, renderPlaces, renderScans, renderStocks } from "./panels.js";
import { renderDevices, renderQuarantine, renderSensors } from "./sensors.js";
import { LANGUAGES, fillTexts, language, loadText, t } from "./text.js";

const PANELS = [
  [["hub"], renderHub],
  [["hub"], planMap],
  [["connection"], renderConnection],
  [["hub", "exchanges", "agreements"], renderMap],
  [["hub", "stocks"], renderStocks],
  [["hub", "agreements"], renderAgreements],
  [["hub", "exchanges", "totals"], renderFlows],
  [["hub", "scans"], renderScans],
  [["hub", "places"], renderPlaces],
  [["hub", "readings"], renderSensors],
  [["hub", "devices"], renderDevices],
  [["hub", "quarantine"], renderQuarantine],
  [["hub", "readings", "exchanges", "stocks", "agreements", "devices", "quarantine", "database"], renderAttention],
];

let waiting = null;

function changed(names) {
  if (waiting) {
    for (const name of names) waiting.add(name);
    return;
  }
  waiting = new Set(names);
  // A hidden page gets no animation frames; it must still be right when somebody looks at it.
  const soon = document.hidden ? (draw) => setTimeout(draw, 500) : requestAnimationFrame;
  soon(() => {
    const now = waiting;
    waiting = null;
    for (const [needs, render] of PANELS) if (needs.some((name) => now.has(name))) render();
  });
}

function renderHub() {
  const hub = state.hub?.hub;
  byId("hub-name").textContent = hub?.name ?? "Sidestream";
  document.title = hub ? `${hub.name} · Sidestream` : "Sidestream";
  byId("synthetic").hidden = !hub?.synthetic;
  byId("no-hub").hidden = Boolean(state.hub);
  byId("zone").textContent = zoneText();
}

function renderConnection() {
  const { state: name, sinceMs } = state.connection;
  const text = name === "lost" ? t("connection.lost", { at: clockText(sinceMs), age: ageText(sinceMs) }) : t(`connection.${name}`);
  const node = byId("connection");
  node.dataset.state = name;
  document.body.dataset.connection = name;
  if (node.textContent !== text) node.textContent = text;
  node.setAttribute("aria-live", name === "lost" ? "off" : "polite");
}

function renderLanguages() {
  const links = Object.entries(LANGUAGES).map(([code, name]) =>
    el("a", { href: `?lang=${code}`, lang: code, "aria-current": code === language ? "true" : null }, name));
  byId("languages").replaceChildren(...links);
}

const phone = matchMedia("(max-width: 719px)");

// On a phone the map gives way to its list, and what is no exception waits folded.
function fold() {
  byId("exchange-details").open = phone.matches;
  for (const panel of document.querySelectorAll(".fold")) panel.open = !phone.matches;
}

await loadText();
fillTexts();
renderLanguages();
renderLegend();
fold();
phone.addEventListener("change", fold);
byId("sensors").addEventListener("toggle", renderSensors);
renderConnection();
follow(changed);
setInterval(() => {
  tickAges();
  if (state.connection.state === "lost") renderConnection();
}, 1000);
