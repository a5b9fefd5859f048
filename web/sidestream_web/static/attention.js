// What needs somebody now, most serious first; everything else is left to the panels below.

import { byId, el, keyed } from "./dom.js";
import { age, clockText, decimal, figureText, ms } from "./format.js";
import { state } from "./live.js";
import { t, word } from "./text.js";

const NEAR_SHARE = 0.1;
const RANK = { alarm: 0, warning: 1, note: 2 };

const item = (rank, id, text, atMs = null) => ({ rank, id, text, atMs });

function named(things) {
  const names = things.slice(0, 3).map((thing) => thing.name).join(", ");
  return things.length > 3 ? names + t("att.more", { n: things.length - 3 }) : names;
}

function database() {
  const database = state.sections.database;
  return database?.ok === false ? [item("alarm", "database", t("att.database", { since: clockText(ms(database.since)) }))] : [];
}

function devices() {
  return (state.sections.devices ?? []).flatMap((device) => {
    const found = [];
    if (device.state === "offline") found.push(item("alarm", `offline-${device.device}`, t("att.offline", { device: device.name }), ms(device.at)));
    if (device.state === "never seen") found.push(item("warning", `never-${device.device}`, t("att.never_seen", { device: device.name })));
    for (const driver of device.body?.drivers ?? []) {
      if (driver.state === "failed" || driver.state === "hung") {
        const values = { device: device.name, driver: driver.id, state: word("driver", driver.state), error: driver.error ?? "" };
        found.push(item("warning", `driver-${device.device}-${driver.id}`, t("att.driver", values)));
      } else if (driver.trouble && device.state === "online") {
        found.push(item("warning", `trouble-${device.device}-${driver.id}`, t("att.trouble", { device: device.name, error: driver.trouble }), ms(driver.last_good_at)));
      }
    }
    if (device.body?.parked > 0) found.push(item("warning", `parked-${device.device}`, t("att.parked", { device: device.name, n: device.body.parked })));
    return found;
  });
}

function agreements() {
  return (state.sections.agreements ?? []).filter((a) => a.status === "breached" || a.status === "at_risk").map((a) =>
    item(a.status === "breached" ? "alarm" : "warning", `agreement-${a.agreement}`,
      t("att.agreement", { name: a.name, status: word("status", a.status), reason: word("reason", a.reason) })));
}

function stocks() {
  return (state.sections.stocks ?? []).flatMap((stock) => {
    if (stock.mass_kg === null) return [];
    const text = figureText(stock.mass_kg, stock.sd_kg, "kg", stock.max_kg ?? stock.mass_kg);
    const values = { name: stock.name, mass: `${text.value} ± ${text.spread ?? "?"} ${text.unit}` };
    const room = (stock.max_kg ?? Infinity) - (stock.min_kg ?? 0);
    const near = Number.isFinite(room) ? room * NEAR_SHARE : 0;
    const sd2 = 2 * (stock.sd_kg ?? 0);
    const found = (rank, key) => [item(rank, `stock-${stock.node}`, t(key, values))];
    if (stock.max_kg !== null && stock.mass_kg > stock.max_kg) return found("alarm", "att.over");
    if (stock.min_kg > 0 && stock.mass_kg < stock.min_kg) return found("alarm", "att.under");
    if (stock.max_kg !== null && stock.mass_kg + Math.max(near, sd2) > stock.max_kg) return found("warning", "att.near_max");
    if (stock.min_kg > 0 && stock.mass_kg - Math.max(near, sd2) < stock.min_kg) return found("warning", "att.near_min");
    return [];
  });
}

function sensors() {
  const groups = new Map();
  for (const sensor of state.hub?.sensors ?? []) {
    const mark = state.readings.get(sensor.id)?.mark ?? "none";
    if (!["stale", "bad", "out_of_range"].includes(mark)) continue;
    const key = `${mark} ${sensor.device}`;
    groups.set(key, [...(groups.get(key) ?? []), sensor]);
  }
  return [...groups].map(([key, found]) => {
    const mark = key.split(" ")[0];
    const times = found.map((sensor) => state.readings.get(sensor.id)?.t).filter(Boolean);
    return item("warning", `sensors-${key}`, t(`att.sensors.${mark}`, { names: named(found) }),
      times.length ? Math.min(...times) / 1000 : null);
  });
}

function twin() {
  const stale = (state.sections.exchanges ?? []).filter((row) => row.state === "live" && row.value !== null && row.stale);
  const oldest = stale.map((row) => ms(row.time)).sort((a, b) => a - b)[0];
  return stale.length ? [item("warning", "twin", t("att.twin", { names: named(stale) }), oldest)] : [];
}

function quarantine() {
  const open = (state.sections.quarantine ?? []).filter((row) => row.state === "open");
  if (!open.length) return [];
  const readings = open.reduce((sum, row) => sum + row.readings, 0);
  const messages = open.reduce((sum, row) => sum + row.messages, 0);
  const reasons = [...new Set(open.map((row) => word("quarantine", row.reason)))].slice(0, 3).join(", ");
  const newest = Math.max(...open.map((row) => ms(row.last_at)));
  return [item("note", "quarantine", t("att.quarantine", { readings: decimal(readings, 0), messages: decimal(messages, 0), reasons }), newest)];
}

export function renderAttention() {
  const found = [database, devices, agreements, stocks, sensors, twin, quarantine].flatMap((rule) => rule());
  found.sort((a, b) => RANK[a.rank] - RANK[b.rank]);
  const items = found.length || !state.hub ? found : [item("fine", "fine", t("att.none"))];
  keyed(byId("attention-list"), items, (entry) => entry.id, (entry) =>
    el("li", { class: entry.rank }, el("span", { class: "chip" }, t(`rank.${entry.rank}`)), el("span", { class: "what" }, entry.text, entry.atMs === null ? null : [" ", age(entry.atMs)])));
}

