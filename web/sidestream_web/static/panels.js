// Stocks, agreements, flows, scans and lots: each number with unit, time, spread and where it is from.

import { byId, el, keyed } from "./dom.js";
import { age, clockText, decimal, figure, ms, plain, shown, spread, unitText } from "./format.js";
import { state } from "./live.js";
import { stepEndMs } from "./map.js";
import { t, word } from "./text.js";

const nodeName = (id) => state.hub?.nodes.find((node) => node.id === id)?.name ?? id;
const partyName = (id) => state.hub?.parties.find((party) => party.id === id)?.name ?? id;
const chip = (kind, text) => el("span", { class: `chip ${kind}` }, text);
const nothing = (text) => ({ nothing: text });

function fill(id, rows, key, make) {
  const items = rows.length ? rows : [nothing(t("nothing"))];
  keyed(byId(id), items, (row) => (row.nothing ? "nothing" : key(row)), (row) => (row.nothing ? el("li", { class: "nothing" }, row.nothing) : make(row)));
}

function twinCsv(kind, subject, quantity, name) {
  const query = new URLSearchParams({ kind, subject, quantity });
  return el("a", { class: "csv", href: `/api/v1/twin.csv?${query}`, download: true, "aria-label": t("csv.of", { name }) }, "CSV");
}

function provenance(row, atMs) {
  const origin = row.origin ? chip(`origin ${row.origin}`, word("origin", row.origin)) : null;
  const when = row.stale ? el("span", { class: "stale" }, t("stale_since", { at: clockText(atMs) })) : age(atMs);
  return [origin, when];
}

// A bar from 0 to a full scale with the value, its band of ± 2 sd, and marks; widths in %.
function bar(value, sd, full, marks, kind) {
  const at = (x) => `${Math.min(100, Math.max(0, (100 * x) / full)).toFixed(2)}%`;
  const filled = el("i", { class: "fill" });
  filled.style.width = at(value);
  const band = el("i", { class: "band" });
  const [low, high] = [value - 2 * (sd ?? 0), value + 2 * (sd ?? 0)];
  band.style.left = at(low);
  band.style.width = `${Math.max(0, Math.min(100, (100 * high) / full) - Math.max(0, (100 * low) / full)).toFixed(2)}%`;
  const lines = marks.filter((x) => x !== null && x !== undefined).map((x) => {
    const mark = el("i", { class: "mark" });
    mark.style.left = at(x);
    return mark;
  });
  return el("div", { class: `meter ${kind}`, "aria-hidden": "true" }, filled, band, lines);
}

export function renderStocks() {
  fill("stock-list", state.sections.stocks ?? [], (row) => row.node, (row) => {
    const size = row.max_kg ?? row.mass_kg ?? 0;
    const as = shown("kg", size);
    const limit = (kg) => (kg === null ? null : `${plain(kg * as.factor)} ${as.unit}`);
    const limits = [row.min_kg > 0 ? t("min", { x: limit(row.min_kg) }) : null, row.max_kg !== null ? t("max", { x: limit(row.max_kg) }) : null];
    const known = row.mass_kg !== null;
    const bad = known && ((row.max_kg !== null && row.mass_kg > row.max_kg) || (row.min_kg > 0 && row.mass_kg < row.min_kg));
    return el("li", { class: row.stale ? "stale-row" : "" },
      el("div", { class: "line" }, el("b", {}, row.name), figure(row.mass_kg, row.sd_kg, "kg", { stale: row.stale, size })),
      known && row.max_kg ? bar(row.mass_kg, row.sd_kg, row.max_kg * 1.08, [row.min_kg || null, row.max_kg], bad ? "alarm" : "mass") : null,
      el("div", { class: "facts" }, el("span", {}, row.party_name ?? row.party), ...limits.filter(Boolean).map((text) => el("span", {}, text)),
        known ? provenance(row, ms(row.time)) : el("span", {}, t("unknown.stock")),
        known ? twinCsv("node", row.node, "stock_mass", row.name) : null));
  });
}

export function renderAgreements() {
  const assessed = new Set((state.sections.agreements ?? []).map((row) => row.agreement));
  const waiting = (state.hub?.agreements ?? []).filter((row) => !assessed.has(row.id)).map((row) => ({ agreement: row.id, waiting: row }));
  fill("agreement-list", [...(state.sections.agreements ?? []), ...waiting], (row) => row.agreement, (row) =>
    (row.waiting ? waitingAgreement(row.waiting) : agreementCard(row)));
}

function waitingAgreement(terms) {
  return el("li", {}, el("div", { class: "line" }, el("b", {}, terms.name), chip("unknown", word("status", "unknown"))),
    el("div", { class: "facts" }, el("span", {}, t("agreement.waiting"))));
}

function agreementCard(row) {
  const unit = unitText(row.unit);
  const delivered = row.delivered === null ? null : spread(row.delivered, row.sd);
  const amount = (x) => `${plain(x)} ${unit}`;
  const running = row.status !== "not_running";
  return el("li", {},
    el("div", { class: "line" }, el("b", {}, row.name), chip(row.status, word("status", row.status))),
    el("div", { class: "line" }, delivered === null ? el("span", { class: "figure unknown" }, t("unknown"))
      : el("span", { class: "figure" }, el("b", {}, delivered.value), " ", el("span", { class: "sd", title: t("sd.meaning") }, `± ${delivered.spread ?? "?"}`), ` ${unit}`),
    el("span", {}, t("of_agreed", { x: amount(row.agreed), period: word("period", row.period) }))),
    running && delivered !== null ? bar(row.delivered, row.sd, Math.max(row.agreed, row.delivered) * 1.08, [row.expected_so_far, row.agreed], row.status) : null,
    el("div", { class: "facts" }, running ? el("span", {}, t("expected", { x: amount(row.expected_so_far) })) : null,
      el("span", {}, word("reason", row.reason)),
      el("span", {}, t("known_share", { share: decimal(100 * row.completeness, 0) })),
      row.origin && delivered !== null ? chip(`origin ${row.origin}`, word("origin", row.origin)) : null,
      el("span", {}, `${partyName(row.supplier)} → ${partyName(row.receiver)}`), age(ms(row.computed_at))));
}

const TOTAL_OF = { heat_flow: "heat", power: "power", mass_flow: "mass" };

function flows(id, wanted) {
  const today = new Map((state.sections.totals ?? []).map((row) => [`${row.stream} ${row.quantity}`, row]));
  const rows = (state.sections.exchanges ?? []).filter((row) => row.state === "live" && wanted(row));
  const both = rows.map((row) => ({ ...row, today: today.get(`${row.stream} ${TOTAL_OF[row.quantity]}`) ?? null }));
  fill(id, both, (row) => `${row.stream} ${row.quantity}`, flowRow);
}

function flowRow(row) {
  const sum = row.today;
  const largest = sum?.value ?? 0;
  return el("li", { class: row.stale ? "stale-row" : "" },
    el("div", { class: "what" }, el("b", {}, row.name), el("small", {}, `${nodeName(row.source)} → ${nodeName(row.target)}`)),
    el("div", { class: "much" }, figure(row.value, row.sd, row.unit, { stale: row.stale }),
      el("span", { class: "today" }, t("today"), " ", sum ? figure(sum.value, sum.sd, sum.unit, { size: largest }) : t("unknown"))),
    el("div", { class: "facts" }, row.value === null ? null : provenance(row, stepEndMs(row.time)),
      sum ? el("span", {}, t("day_share", { share: decimal(100 * sum.completeness, 0) })) : null,
      twinCsv("stream", row.stream, row.quantity, row.name)));
}

export function renderFlows() {
  flows("heat-list", (row) => row.unit === "W");
  // Water carries heat: its mass is no material that anybody hands over.
  flows("mass-list", (row) => row.quantity === "mass_flow" && !["water", "steam"].includes(row.phase));
}

export function renderScans() {
  const rows = (state.sections.scans ?? []).slice(0, 12);
  fill("scan-list", rows, (row) => `${row.time} ${row.sensor} ${row.code}`, (row) => el("li", {},
    el("div", { class: "what" }, el("b", { class: "code" }, row.code), el("small", {}, row.lot_type_name ?? t("lot.unknown_type"))),
    el("div", { class: "much" }, el("span", {}, row.node_name ?? t("place.unknown")), age(ms(row.time))),
    el("div", { class: "facts" }, el("span", {}, clockText(ms(row.time))), chip(`origin ${row.recorded ? "recorded" : "measured"}`, t(row.recorded ? "mark.recorded" : "scanned")),
      row.quality > 0 ? chip("bad", word("mark", row.quality === 1 ? "uncertain" : "bad")) : null)));
}

export function renderPlaces() {
  fill("place-list", state.sections.places ?? [], (row) => `${row.place} ${row.lot_type}`, (row) => el("li", {},
    el("div", { class: "what" }, el("b", {}, row.place === null ? t("place.unknown") : (row.place_name ?? row.place)), el("small", {}, row.lot_type_name ?? t("lot.unknown_type"))),
    el("div", { class: "much" }, el("span", { class: "figure" }, el("b", {}, decimal(row.lots, 0)), ` ${t("lots", { n: row.lots })}`),
      row.mass_kg === null ? null : figure(row.mass_kg, row.sd_kg, "kg", { size: row.mass_kg })),
    el("div", { class: "facts" }, chip("origin estimated", t("nominal")), el("span", {}, t("last_seen"), " ", age(ms(row.last_seen_at))))));
}
