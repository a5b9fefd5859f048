// Where the boxes and arrows of the exchange map go: pure, and the same for the same hub.
//
// Columns are the longest distance from a source (Sugiyama's layering, with edges that close a circle left out). A party
// is a group of columns; groups whose columns don't overlap share a band. In a column, nodes stand as near as they can to
// the mean row of what flows into them.

export const BOX = { w: 116, h: 50, gapX: 92, gapY: 22, pad: 14, head: 24 };

const byId = (a, b) => (a.id < b.id ? -1 : 1);

function forwardEdges(nodes, streams) {
  const out = new Map(nodes.map((node) => [node.id, []]));
  for (const stream of streams) out.get(stream.source).push(stream);
  const mark = new Map();
  const forward = [];
  const visit = (id) => {
    mark.set(id, "open");
    for (const stream of out.get(id)) {
      if (mark.get(stream.target) === "open") continue;
      forward.push(stream);
      if (!mark.has(stream.target)) visit(stream.target);
    }
    mark.set(id, "done");
  };
  const fed = new Set(streams.map((stream) => stream.target));
  for (const node of [...nodes.filter((n) => !fed.has(n.id)), ...nodes]) if (!mark.has(node.id)) visit(node.id);
  return forward;
}

function columns(nodes, forward) {
  const column = new Map(nodes.map((node) => [node.id, 0]));
  for (let round = 0; round < nodes.length; round += 1) {
    let moved = false;
    for (const { source, target } of forward) {
      if (column.get(target) <= column.get(source)) {
        column.set(target, column.get(source) + 1);
        moved = true;
      }
    }
    if (!moved) break;
  }
  return column;
}

function partyOrder(nodes, column) {
  const parties = new Map();
  for (const node of nodes) {
    const at = column.get(node.id);
    const party = parties.get(node.party) ?? { id: node.party, name: node.party_name ?? node.party, first: at, last: at, nodes: [] };
    party.first = Math.min(party.first, at);
    party.last = Math.max(party.last, at);
    party.nodes.push(node);
    parties.set(node.party, party);
  }
  return [...parties.values()].sort((a, b) => a.first - b.first || b.nodes.length - a.nodes.length || byId(a, b));
}

function bands(parties) {
  const found = [];
  for (const party of parties) {
    const free = found.find((band) => band.every((other) => party.first > other.last || party.last < other.first));
    if (free) free.push(party);
    else found.push([party]);
  }
  return found;
}

// Rows of a party's nodes, counted from the band's top.
function rowsOf(party, column, forward, absolute, top) {
  const rows = new Map();
  for (let at = party.first; at <= party.last; at += 1) {
    const wish = (node) => {
      const from = forward.filter((s) => s.target === node.id && absolute.has(s.source));
      if (!from.length) return null;
      return Math.max(0, from.reduce((sum, s) => sum + absolute.get(s.source), 0) / from.length - top);
    };
    const here = party.nodes.filter((node) => column.get(node.id) === at).map((node) => ({ node, wish: wish(node) }));
    here.sort((a, b) => (a.wish ?? 99) - (b.wish ?? 99) || byId(a.node, b.node));
    let next = 0;
    here.forEach(({ node, wish: wanted }, index) => {
      const last = party.tallest - (here.length - index);
      const row = Math.max(next, Math.min(Math.round(wanted ?? next), last));
      rows.set(node.id, row);
      absolute.set(node.id, top + row);
      next = row + 1;
    });
  }
  return rows;
}

function tallest(party, column) {
  const count = new Map();
  for (const node of party.nodes) count.set(column.get(node.id), (count.get(column.get(node.id)) ?? 0) + 1);
  return Math.max(...count.values());
}

function place(party, rows, column, top) {
  const x = (at) => BOX.pad + at * (BOX.w + BOX.gapX);
  const height = party.tallest * (BOX.h + BOX.gapY) - BOX.gapY;
  const boxes = party.nodes.map((node) => ({
    node, x: x(column.get(node.id)), y: top + BOX.head + rows.get(node.id) * (BOX.h + BOX.gapY), w: BOX.w, h: BOX.h,
  }));
  const group = {
    party, x: x(party.first) - BOX.pad + 2, y: top, w: x(party.last) + BOX.w - x(party.first) + 2 * BOX.pad - 4,
    h: BOX.head + height + BOX.pad,
  };
  return { boxes, group };
}

// Which side of its boxes each arrow leaves and enters, and at which height, so that arrows on one side don't cross.
function ports(boxes, streams) {
  const sides = new Map();
  const add = (id, side, entry) => {
    const key = `${id} ${side}`;
    sides.set(key, [...(sides.get(key) ?? []), entry]);
  };
  const arrows = streams.map((stream) => {
    const [a, b] = [boxes.get(stream.source), boxes.get(stream.target)];
    const arrow = { stream, ahead: b.x > a.x, same: b.x === a.x };
    add(stream.source, arrow.ahead || arrow.same ? "right" : "left", { arrow, end: "from", sort: b.y });
    add(stream.target, arrow.ahead ? "left" : "right", { arrow, end: "to", sort: a.y });
    return arrow;
  });
  for (const [key, entries] of sides) {
    const [id, side] = key.split(" ");
    const box = boxes.get(id);
    entries.sort((p, q) => p.sort - q.sort || byId(p.arrow.stream, q.arrow.stream));
    entries.forEach((entry, index) => {
      const y = box.y + (box.h * (index + 1)) / (entries.length + 1);
      entry.arrow[entry.end] = { x: side === "right" ? box.x + box.w : box.x, y, out: side === "right" ? 1 : -1 };
    });
  }
  return arrows;
}

export function layout(allNodes, allStreams) {
  const nodes = [...allNodes].sort(byId);
  const known = new Set(nodes.map((node) => node.id));
  const streams = [...allStreams].filter((s) => known.has(s.source) && known.has(s.target)).sort(byId);
  const forward = forwardEdges(nodes, streams);
  const column = columns(nodes, forward);
  const absolute = new Map();
  const boxes = new Map();
  const groups = [];
  let top = 4;
  let row = 0;
  for (const band of bands(partyOrder(nodes, column))) {
    const tall = Math.max(...band.map((party) => tallest(party, column)));
    for (const party of band.sort((a, b) => a.first - b.first)) {
      party.tallest = tall;
      const placed = place(party, rowsOf(party, column, forward, absolute, row), column, top);
      for (const box of placed.boxes) boxes.set(box.node.id, box);
      groups.push(placed.group);
    }
    top += BOX.head + tall * (BOX.h + BOX.gapY) - BOX.gapY + BOX.pad + 10;
    row += tall;
  }
  const width = Math.max(...[...boxes.values()].map((box) => box.x + box.w), 0) + BOX.pad;
  return { boxes: [...boxes.values()], groups, arrows: ports(boxes, streams), width, height: top };
}

// The four points of an arrow's curve.
export function curve({ from, to, same }) {
  const reach = same ? 60 : Math.max(Math.abs(to.x - from.x) / 2, 30);
  return [[from.x, from.y], [from.x + from.out * reach, from.y], [to.x + to.out * reach, to.y], [to.x, to.y]];
}

export function pointAt([a, b, c, d], u) {
  const v = 1 - u;
  const mix = (i) => v ** 3 * a[i] + 3 * v * v * u * b[i] + 3 * v * u * u * c[i] + u ** 3 * d[i];
  return [mix(0), mix(1)];
}

const overlap = (a, b) => Math.max(0, Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x))
  * Math.max(0, Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y));

// Before an arrow that comes from far above or below, so that it is plain whose label it is.
function beforeTip({ to, from }, w) {
  const steep = Math.abs(to.y - from.y) > 1.5 * (BOX.h + BOX.gapY);
  return steep && to.out < 0 ? [[to.x - 18 - w / 2, to.y]] : [];
}

// Where each arrow's label stands: on its curve, where it covers least of boxes and other labels.
export function labelPlaces(plan, sizeOf) {
  const taken = plan.boxes.map(({ x, y, w, h }) => ({ x: x - 2, y: y - 2, w: w + 4, h: h + 4 }));
  return plan.arrows.map((arrow) => {
    const { w, h } = sizeOf(arrow);
    const line = curve(arrow);
    let best = null;
    const along = [0.5, 0.58, 0.42, 0.66, 0.34, 0.74, 0.26, 0.82, 0.18].map((u) => pointAt(line, u));
    for (const [x, y] of [...beforeTip(arrow, w), ...along]) {
      const spot = { x: x - w / 2, y: y - h / 2, w, h };
      const cost = taken.reduce((sum, other) => sum + overlap(spot, other), 0);
      if (!best || cost < best.cost - 1) best = { ...spot, cost };
    }
    taken.push(best);
    return best;
  });
}
