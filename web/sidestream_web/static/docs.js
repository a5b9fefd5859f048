// The reference of the read API, drawn from /openapi.json: FastAPI's own pages load scripts from a CDN that a plant
// network can't reach.

import { byId, el } from "./dom.js";
import { fillTexts, loadText, t } from "./text.js";

let schemas = {};

// `code` in a text becomes a code element; everything stays text.
const marked = (text = "") => text.split("`").map((part, index) => (index % 2 ? el("code", {}, part) : part));
const resolve = (schema) => (schema?.$ref ? schemas[schema.$ref.split("/").at(-1)] : schema);

function kind(schema = {}) {
  const choices = (schema.anyOf ?? [schema]).map((one) => {
    if (one.$ref) return one.$ref.split("/").at(-1);
    if (one.enum ?? one.const) return (one.enum ?? [one.const]).join(" | ");
    if (one.type === "array") return `[${kind(one.items)}]`;
    return [one.type, one.format].filter(Boolean).join(" ");
  });
  return choices.join(", ");
}

function parameter({ name, required, description, schema }) {
  const facts = [kind(schema), schema?.default === undefined || schema.default === null ? "" : `= ${schema.default}`, required ? t("docs.required") : ""];
  return [el("dt", {}, el("code", {}, name), ` ${facts.filter(Boolean).join(" ")}`), el("dd", {}, marked(description))];
}

// Fields of an answer, records inside it below them.
function fields(schema, seen = new Set()) {
  const choices = (schema.anyOf ?? [schema]).map((one) => (one.type === "array" ? one.items : one));
  return choices.flatMap((choice) => {
    if (choice.anyOf) return fields(choice, seen);
    const record = resolve(choice);
    if (!record?.properties || seen.has(record.title)) return [];
    seen.add(record.title);
    const rows = Object.entries(record.properties).flatMap(([name, field]) => parameter({ name, description: field.description, schema: { ...field, default: undefined } }));
    const inner = Object.values(record.properties).flatMap((field) => fields(field, seen));
    return [el("details", {}, el("summary", {}, record.title), el("p", { class: "hint" }, marked(record.description)), el("dl", {}, rows)), ...inner];
  });
}

function answer({ description, content = {} }) {
  const [type, body] = Object.entries(content)[0] ?? ["", {}];
  const said = description === "Successful Response" ? "" : description;
  return [el("p", {}, t("docs.answers"), " ", el("code", {}, type), body.schema ? ` ${kind(body.schema)}` : ""), said ? el("p", { class: "hint" }, marked(said)) : null,
    ...(body.schema ? fields(body.schema) : [])];
}

function address(path, method, { summary, description, parameters, requestBody, responses }) {
  const link = method === "get" && !path.includes("{");
  const asked = requestBody?.content["application/json"]?.schema;
  return el("article", {}, el("h3", {}, `${method.toUpperCase()} `, link ? el("a", { href: path }, path) : path), el("p", {}, el("b", {}, summary)),
    el("p", {}, marked(description)),
    parameters?.length ? el("dl", { "aria-label": t("docs.parameters") }, parameters.flatMap(parameter)) : null,
    ...(asked ? fields(asked) : []),
    answer(responses["200"]));
}

await loadText();
fillTexts();
const reference = await (await fetch("/openapi.json")).json();
schemas = reference.components.schemas;
byId("about").append(...marked(reference.info.description));
byId("addresses").append(...Object.entries(reference.paths)
  .flatMap(([path, methods]) => Object.entries(methods).map(([method, what]) => address(path, method, what))));
