// The page's words in the reader's language, from one dictionary file per language with the same keys.

export const LANGUAGES = { nb: "Norsk", en: "English" };
export const language = document.documentElement.lang in LANGUAGES ? document.documentElement.lang : "en";

let words = {};

export async function loadText() {
  const answer = await fetch(`/static/text.${language}.json`);
  if (!answer.ok) throw new Error(`text.${language}.json: ${answer.status}`);
  words = await answer.json();
}

// The text of a key with {names} filled in; a key that is missing shows itself.
export function t(key, values = {}) {
  const text = words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

// The text of a code that the hub sent, or the code itself where this page does not know it.
export function word(group, code) {
  return code === null || code === undefined ? t("unknown") : (words[`${group}.${code}`] ?? String(code));
}

export function fillTexts(root = document) {
  for (const node of root.querySelectorAll("[data-text]")) node.textContent = t(node.dataset.text);
  for (const node of root.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));
}
