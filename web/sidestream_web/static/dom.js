// Elements from text only: nothing that came from a sensor, a tag or a file is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

export const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
export const byId = (id) => document.getElementById(id);

// Makes the children of `list` match `items`: one element per key, made anew only when its content would differ,
// so that focus, selection and what a screen reader has said stay where they are.
export function keyed(list, items, key, make) {
  const before = new Map([...list.children].map((node) => [node.dataset.key, node]));
  let place = list.firstElementChild;
  for (const item of items) {
    const name = key(item);
    const signature = JSON.stringify(item);
    let node = before.get(name);
    before.delete(name);
    if (!node || node.sidestreamItem !== signature) {
      const fresh = make(item);
      fresh.dataset.key = name;
      fresh.sidestreamItem = signature;
      if (node) {
        const focused = node.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
        if (node === place) place = place.nextElementSibling;
        node.replaceWith(fresh);
        if (focused) [...fresh.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
      }
      node = fresh;
    }
    if (node === place) place = place.nextElementSibling;
    else if (node.nextElementSibling !== place || !node.isConnected) list.insertBefore(node, place);
  }
  for (const gone of before.values()) gone.remove();
}
