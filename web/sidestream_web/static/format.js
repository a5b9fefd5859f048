// Numbers, units, times and ages as people of the reader's language write them.

import { el } from "./dom.js";
import { language, t } from "./text.js";

const numbers = new Map();
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayClock = new Intl.DateTimeFormat(language, {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});
const fullDay = new Intl.DateTimeFormat(language, { dateStyle: "medium" });
let serverAheadMs = 0;

export function setServerTime(micros) {
  serverAheadMs = micros / 1000 - Date.now();
}

export const nowMs = () => Date.now() + serverAheadMs;

export function decimal(value, digits) {
  if (!numbers.has(digits)) {
    const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    numbers.set(digits, new Intl.NumberFormat(language, options));
  }
  return numbers.get(digits).format(value);
}

// Value and ± 2 sd, both cut to the second significant digit of the spread: no digit is shown that nobody knows.
export function spread(value, sd) {
  const twice = sd === null || sd === undefined ? null : 2 * sd;
  const size = twice > 0 ? Math.floor(Math.log10(twice)) - 1 : value ? Math.floor(Math.log10(Math.abs(value))) - 3 : 0;
  const step = 10 ** size;
  const digits = Math.min(Math.max(-size, 0), 6);
  const cut = (x) => decimal(Math.round(x / step) * step + 0, digits);
  return { value: cut(value), spread: twice === null ? null : cut(twice) };
}

const plainNumber = new Intl.NumberFormat(language, { maximumSignificantDigits: 4 });

// A number that is set, not measured: a limit or an agreed amount.
export const plain = (value) => plainNumber.format(value);

const UNITS = { Cel: "°C", "m3/h": "m³/h", m3: "m³", "MW.h": "MWh", "kW.h": "kWh", 1: "", "m3.K": "m³·K" };
export const unitText = (ucum) => UNITS[ucum] ?? ucum.replaceAll(".", "·").replace(/([a-z])3\b/g, "$1³");

// How an SI value is shown: heat in kW, MWh; mass in t/h or kg/h, t or kg (by `size`, what the scale must hold).
export function shown(unit, size) {
  const big = Math.abs(size ?? 0);
  if (unit === "W") return { factor: 1e-3, unit: "kW" };
  if (unit === "J") return { factor: 1 / 3.6e9, unit: "MWh" };
  if (unit === "kg/s") return big * 3.6 >= 1 ? { factor: 3.6, unit: "t/h" } : { factor: 3600, unit: "kg/h" };
  if (unit === "kg") return big >= 1000 ? { factor: 1e-3, unit: "t" } : { factor: 1, unit: "kg" };
  return { factor: 1, unit: unitText(unit ?? "1") };
}

export function figureText(value, sd, unit, size) {
  if (value === null || value === undefined) return { value: t("unknown"), spread: null, unit: "" };
  const as = shown(unit, size ?? value);
  return { ...spread(value * as.factor, sd === null || sd === undefined ? null : sd * as.factor), unit: as.unit };
}

// A number with spread and unit; struck and named stale when it is no longer the state of now.
export function figure(value, sd, unit, { stale = false, size = null } = {}) {
  const text = figureText(value, sd, unit, size);
  if (value === null || value === undefined) return el("span", { class: "figure unknown" }, text.value);
  const tolerance = text.spread === null ? el("span", { class: "sd", title: t("sd.unknown") }, "± ?")
    : el("span", { class: "sd", title: t("sd.meaning") }, `± ${text.spread}`);
  const number = el(stale ? "s" : "b", {}, text.value);
  return el("span", { class: stale ? "figure stale" : "figure" }, number, " ", tolerance, " ", el("span", { class: "unit" }, text.unit));
}

export const ms = (iso) => (iso === null || iso === undefined ? null : Date.parse(iso));

export function clockText(atMs) {
  const sameDay = fullDay.format(atMs) === fullDay.format(nowMs());
  return sameDay ? clock.format(atMs) : dayClock.format(atMs);
}

export function zoneText() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const parts = new Intl.DateTimeFormat(language, { timeZoneName: "short" }).formatToParts(nowMs());
  const short = parts.find((part) => part.type === "timeZoneName")?.value ?? zone;
  return short === zone ? t("zone.only", { zone }) : t("zone", { zone, short });
}

export function ageText(atMs) {
  const seconds = Math.max(0, Math.round((nowMs() - atMs) / 1000));
  if (seconds < 60) return t("age.s", { n: seconds });
  if (seconds < 3600) return t("age.min", { n: Math.floor(seconds / 60) });
  if (seconds < 48 * 3600) return t("age.h", { n: Math.floor(seconds / 3600) });
  return t("age.d", { n: decimal(Math.floor(seconds / 86400), 0) });
}

// A time element whose age ticks by itself.
export function age(atMs) {
  if (atMs === null) return el("span", { class: "age" }, t("never"));
  const attributes = { class: "age", "data-age": atMs, datetime: new Date(atMs).toISOString(), title: clockText(atMs), "aria-live": "off" };
  return el("time", attributes, ageText(atMs));
}

export function tickAges() {
  for (const node of document.querySelectorAll("[data-age]")) {
    const text = ageText(Number(node.dataset.age));
    if (node.textContent !== text) node.textContent = text;
  }
}
