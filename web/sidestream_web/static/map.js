// The exchange map: parties as groups, nodes as boxes, streams as arrows; and the same as a list for phones and readers.

import { byId, el, keyed, svg } from "./dom.js";
import { age, figure, figureText, ms } from "./format.js";
import { curve, labelPlaces, layout } from "./layout.js";
import { state } from "./live.js";
import { t, word } from "./text.js";

const PLANNED = new Set(["idea", "agreed", "building"]);
const ENERGY_PHASES = new Set(["water", "steam", "heat", "gas", "electricity"]);
const RANK = { heat_flow: 0, power: 1, mass_flow: 2 };

// One entry per stream: its main flow (energy where the twin knows it), and how it must be drawn.
export function streamsNow() {
  const flows = new Map();
  for (const row of state.sections.exchanges ?? []) {
    const main = flows.get(row.stream);
    if (!main || RANK[row.quantity] < RANK[main.quantity]) flows.set(row.stream, row);
  }
  const worry = new Map((state.sections.agreements ?? []).map((a) => [a.stream, a.status]));
  return (state.hub?.streams ?? []).map((stream) => describe(stream, flows.get(stream.id), worry.get(stream.id)));
}

function describe(stream, flow, agreement) {
  const live = stream.state === "live";
  const known = live && flow?.value !== null && flow?.value !== undefined;
  return {
    id: stream.id, name: stream.name, source: stream.source, target: stream.target, state: stream.state, since: stream.since,
    value: known ? flow.value : null, sd: known ? flow.sd : null, unit: flow?.unit ?? null,
    origin: known ? flow.origin : null, stale: known && flow.stale === true, time: known ? flow.time : null,
    kind: flow?.unit === "W" || (!flow?.quantity && ENERGY_PHASES.has(stream.phase)) ? "heat" : "mass",
    look: live ? (known ? (flow.stale ? "stale" : "live") : "unknown") : PLANNED.has(stream.state) ? "planned" : "resting",
    trouble: live && (agreement === "at_risk" || agreement === "breached") ? agreement : null,
  };
}

export const stepEndMs = (iso) => (iso === null ? null : ms(iso) + (state.hub?.hub.step_s ?? 0) * 1000);

function labelLines(stream) {
  if (stream.look === "planned" || stream.look === "resting") return [word("lifecycle", stream.state)];
  if (stream.look === "unknown") return [t("unknown")];
  const text = figureText(stream.value, stream.sd, stream.unit);
  const lines = [`${text.value} ${text.unit}`, text.spread === null ? "± ?" : `± ${text.spread}`];
  if (stream.stale) lines.push(t("stale"));
  else if (stream.origin !== "measured") lines.push(word("origin", stream.origin));
  if (stream.trouble) lines.unshift(`⚠ ${word("status", stream.trouble)}`);
  return lines;
}

function strokeWidth(stream, largest) {
  const share = stream.value === null ? 0 : Math.abs(stream.value) / (largest[stream.kind] || 1);
  return stream.look === "live" || stream.look === "stale" ? 1.8 + 7 * Math.sqrt(share) : 1.8;
}

const cut = (text, most) => (text.length <= most ? text : `${text.slice(0, most - 1).trim()}…`);

function wrap(text, most, lines) {
  const found = [""];
  for (const part of text.split(/\s+/)) {
    const longer = `${found.at(-1)} ${part}`.trim();
    if (longer.length <= most || !found.at(-1)) found[found.length - 1] = longer;
    else found.push(part);
  }
  if (found.length > lines) found.splice(lines - 1, found.length, cut(found.slice(lines - 1).join(" "), most));
  return found;
}

function drawBox({ node, x, y, w, h }) {
  const lines = wrap(node.name, 17, 3);
  const first = y + h / 2 - (lines.length - 1) * 6.5 + 4;
  const text = svg("text", { x: x + w / 2, y: first, "text-anchor": "middle" },
    lines.map((line, index) => svg("tspan", { x: x + w / 2, y: first + index * 13 }, line)));
  const shape = svg("rect", { x, y, width: w, height: h, rx: node.kind === "stock" || node.kind === "store" ? 2 : 9 });
  return svg("g", { class: `node ${node.kind}` }, svg("title", {}, `${node.name} (${word("node", node.kind)})`), shape, text);
}

function drawGroup({ party, x, y, w, h }) {
  return svg("g", { class: "party" }, svg("rect", { x, y, width: w, height: h, rx: 10 }),
    svg("title", {}, party.name), svg("text", { x: x + 12, y: y + 17 }, cut(party.name, Math.floor((w - 20) / 7.8))));
}

function drawArrow(arrow, stream, width) {
  const [a, b, c, d] = curve(arrow);
  const tip = 6 + width * 0.8;
  const end = [d[0] + arrow.to.out * tip * 0.8, d[1]];
  const path = `M${a} C${b} ${[c[0], c[1]]} ${end}`;
  const head = `M${d} l${arrow.to.out * tip},${-tip * 0.6} v${tip * 1.2} z`;
  return svg("g", { class: `stream ${stream.look} ${stream.kind}${stream.trouble ? ` ${stream.trouble}` : ""}`, "data-stream": stream.id },
    svg("path", { class: "line", d: path, "stroke-width": width.toFixed(1) }), svg("path", { class: "head", d: head }));
}

const sizeOf = (lines) => ({ w: Math.max(...lines.map((line, index) => line.length * (index ? 6.2 : 7.1))) + 10, h: lines.length * 12.5 + 5 });

function drawLabel(spot, lines, stream) {
  const x = spot.x + spot.w / 2;
  return svg("g", { class: `label ${stream.look} ${stream.kind}${stream.trouble ? ` ${stream.trouble}` : ""}`, "data-label-of": stream.id },
    svg("rect", { x: spot.x, y: spot.y, width: spot.w, height: spot.h, rx: 5 }),
    svg("text", { x, y: spot.y, "text-anchor": "middle" },
      lines.map((line, index) => svg("tspan", { x, y: spot.y + 13 + index * 12.5, class: `line${index}` }, line))));
}

let plan = null;

export function planMap() {
  plan = state.hub ? layout(state.hub.nodes, state.hub.streams) : null;
}

export function renderMap() {
  const streams = streamsNow();
  renderList(streams);
  if (!plan) return byId("map-frame").replaceChildren();
  const byStream = new Map(streams.map((stream) => [stream.id, stream]));
  const largest = { heat: 0, mass: 0 };
  for (const stream of streams) largest[stream.kind] = Math.max(largest[stream.kind], Math.abs(stream.value ?? 0));
  const lines = new Map(streams.map((stream) => [stream.id, labelLines(stream)]));
  const spots = labelPlaces(plan, (arrow) => sizeOf(lines.get(arrow.stream.id)));
  const picture = svg("svg", { viewBox: `0 0 ${plan.width} ${plan.height}`, role: "img", "aria-label": t("map.label"), "data-width": plan.width },
    plan.groups.map(drawGroup),
    plan.arrows.map((arrow) => drawArrow(arrow, byStream.get(arrow.stream.id), strokeWidth(byStream.get(arrow.stream.id), largest))),
    plan.boxes.map(drawBox),
    plan.arrows.map((arrow, index) => drawLabel(spots[index], lines.get(arrow.stream.id), byStream.get(arrow.stream.id))));
  picture.style.minWidth = `${Math.round(plan.width * 0.72)}px`;
  picture.style.maxWidth = `${Math.round(plan.width * 1.15)}px`;
  return byId("map-frame").replaceChildren(picture);
}

function renderList(streams) {
  const order = { live: 0, stale: 0, unknown: 1, planned: 2, resting: 3 };
  const rows = [...streams].sort((a, b) => order[a.look] - order[b.look]);
  keyed(byId("exchange-list"), rows, (stream) => stream.id, exchangeRow);
}

function exchangeRow(stream) {
  const name = (id) => state.hub.nodes.find((node) => node.id === id)?.name ?? id;
  const flowing = stream.look === "live" || stream.look === "stale" || stream.look === "unknown";
  const right = flowing ? figure(stream.value, stream.sd, stream.unit, { stale: stream.stale })
    : el("span", { class: "chip planned" }, word("lifecycle", stream.state));
  const facts = flowing && stream.value !== null ? [word("origin", stream.origin), " · ", age(stepEndMs(stream.time))]
    : stream.since && !flowing ? [t("since_day", { day: stream.since })] : [];
  return el("li", { class: `${stream.look} ${stream.kind}`, "data-stream": stream.id },
    el("div", { class: "what" }, el("b", {}, stream.name), el("small", {}, `${name(stream.source)} → ${name(stream.target)}`)),
    el("div", { class: "much" }, right, el("small", {}, ...facts),
      stream.trouble ? el("span", { class: `chip ${stream.trouble}` }, `⚠ ${word("status", stream.trouble)}`) : null));
}

export function renderLegend() {
  const entry = (look, text) => el("li", { class: look }, el("i"), text);
  byId("legend").replaceChildren(entry("heat", t("legend.heat")), entry("mass", t("legend.mass")), entry("planned", t("legend.planned")),
    entry("staleline", t("legend.stale")), el("li", {}, t("legend.sd")));
}
