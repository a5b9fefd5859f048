// Every sensor with its mark, and the two lists for whoever mends things: devices and quarantine.

import { byId, el, keyed } from "./dom.js";
import { age, clockText, decimal, ms, plain, spread, unitText } from "./format.js";
import { state } from "./live.js";
import { t, word } from "./text.js";

const SYMBOL = { good: "✓", uncertain: "?", bad: "✕", out_of_range: "!", stale: "!", recorded: "»", none: "–" };

function sensorRow(sensor) {
  const query = new URLSearchParams({ sensor: sensor.id, bucket: "raw" });
  return el("li", { "data-sensor": sensor.id },
    el("div", { class: "what" }, el("b", {}, sensor.name), el("small", {}, el("code", {}, sensor.id), ` · ${sensor.device}`)),
    el("div", { class: "much" }, el("span", { class: "figure" }), el("span", { class: "chip mark" })),
    el("div", { class: "facts" }, el("span", { class: "when" }), el("span", {}, t(sensor.quantity === "scan" ? "scanned" : "origin.measured")),
      el("a", { class: "csv", href: `/api/v1/series.csv?${query}`, download: true, "aria-label": t("csv.of", { name: sensor.name }) }, "CSV")));
}

// A register counts on for years: people read its digits, and its class limit is a share of what it counted.
function reading({ value, sd }) {
  return { value: decimal(value, 0), spread: sd && value ? `${plain((200 * sd) / Math.abs(value))} %` : null };
}

function valueParts(row, stale, register) {
  if (row.code !== null && row.code !== undefined) return [el(stale ? "s" : "b", { class: "code" }, row.code)];
  if (row.value === null || row.value === undefined) return [t("unknown")];
  const text = register ? reading(row) : spread(row.value, row.sd);
  const tolerance = el("span", { class: "sd", title: t(text.spread === null ? "sd.unknown" : "sd.meaning") }, `± ${text.spread ?? "?"}`);
  return [el(stale ? "s" : "b", {}, text.value), " ", tolerance, ` ${unitText(row.unit)}`];
}

function update(node, row, register) {
  const signature = JSON.stringify(row);
  if (node.sidestreamReading === signature) return;
  node.sidestreamReading = signature;
  const mark = row?.mark ?? "none";
  const stale = mark === "stale";
  const figure = node.querySelector(".figure");
  figure.className = stale ? "figure stale" : mark === "none" ? "figure unknown" : "figure";
  figure.replaceChildren(...(row ? valueParts(row, stale, register) : [t("unknown")]));
  const chip = node.querySelector(".mark");
  chip.className = `chip mark ${mark}`;
  chip.textContent = `${SYMBOL[mark] ?? "!"} ${word("mark", mark)}`;
  const when = row?.t ? (stale ? t("stale_since", { at: clockText(row.t / 1000) }) : age(row.t / 1000)) : t("never");
  node.querySelector(".when").replaceChildren(when);
}

export function renderSensors() {
  const sensors = state.hub?.sensors ?? [];
  const trusted = sensors.filter((sensor) => state.readings.get(sensor.id)?.mark === "good").length;
  byId("sensor-count").textContent = t("sensors.count", { good: decimal(trusted, 0), all: decimal(sensors.length, 0) });
  if (!byId("sensors").open) return;
  keyed(byId("sensor-list"), sensors, (sensor) => sensor.id, sensorRow);
  const registers = new Set(sensors.filter((sensor) => sensor.role.endsWith("_register")).map((sensor) => sensor.id));
  for (const node of byId("sensor-list").children) update(node, state.readings.get(node.dataset.key), registers.has(node.dataset.key));
}

export function renderDevices() {
  const rows = state.sections.devices ?? [];
  const online = rows.filter((row) => row.state === "online" || row.state === "manual").length;
  byId("device-count").textContent = t("devices.count", { online: decimal(online, 0), all: decimal(rows.length, 0) });
  keyed(byId("device-list"), rows, (row) => row.device, (row) => {
    const waiting = (row.body?.outbox ?? []).reduce((sum, lane) => sum + lane.frames, 0);
    return el("li", {},
      el("div", { class: "what" }, el("b", {}, row.name), el("small", {}, el("code", {}, row.device), ` · ${row.party}`)),
      el("div", { class: "much" }, el("span", { class: `chip ${row.state === "online" || row.state === "manual" ? "good" : "bad"}` }, word("device", row.state)), age(ms(row.received_at))),
      el("div", { class: "facts" }, el("span", {}, t("device.last_reading"), " ", age(ms(row.last_reading_at))),
        row.body ? el("span", {}, t("device.waiting", { n: decimal(waiting, 0) })) : null,
        row.open_quarantine ? el("span", {}, t("device.quarantined", { n: decimal(row.open_quarantine, 0) })) : null));
  });
}

export function renderQuarantine() {
  const rows = (state.sections.quarantine ?? []).filter((row) => row.state === "open");
  const open = rows.reduce((sum, row) => sum + row.messages, 0);
  byId("quarantine-count").textContent = open ? t("quarantine.count", { n: decimal(open, 0) }) : t("quarantine.none");
  keyed(byId("quarantine-list"), rows, (row) => `${row.device} ${row.reason} ${row.state}`, (row) => el("li", {},
    el("div", { class: "what" }, el("b", {}, word("quarantine", row.reason)), el("small", {}, el("code", {}, row.device || t("unknown")))),
    el("div", { class: "much" }, el("span", {}, t("quarantine.much", { messages: decimal(row.messages, 0), readings: decimal(row.readings, 0) })), age(ms(row.last_at))),
    el("div", { class: "facts" }, el("span", {}, t("quarantine.since", { at: clockText(ms(row.first_at)) })), el("span", {}, word("quarantine_state", row.state)))));
}
