// Resources as fastnlb.yaml has them: defaults left out, files in place of PEM text.

import { CREATED, LISTED } from "./kinds.js";

const PLAIN = /^[A-Za-z0-9_/][A-Za-z0-9_./@+-]*$/;
const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;
const SPECIAL = /^(true|false|null|yes|no|on|off|y|n|~|[-+.]?[0-9][0-9_.,:eExXoO+-]*|\.inf|\.nan)$/i;

/** A document with the resources, each as {kind, resource}. */
export function yamlOf(entries) {
  const lines = [];
  for (const kind of LISTED) {
    const mine = entries.filter((each) => each.kind === kind);
    if (mine.length) lines.push(`${kind.replaceAll("-", "_")}:`);
    for (const { resource } of mine) lines.push(...item(CREATED[kind](resource)));
  }
  return `${lines.join("\n")}\n`;
}

function item(mapping) {
  return Object.entries(mapping).flatMap(([key, value], index) =>
    entry(key, value, "    ").map((line, row) => (index === 0 && row === 0 ? `  - ${line.trimStart()}` : line)),
  );
}

function entry(key, value, indent) {
  if (Array.isArray(value) && value.some((each) => each !== null && typeof each === "object")) {
    return [`${indent}${key}:`, ...value.map((each) => `${indent}  - ${flow(each)}`)];
  }
  if (value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length > 3) {
    return [`${indent}${key}:`, ...Object.entries(value).flatMap(([name, each]) => entry(name, each, `${indent}  `))];
  }
  return [`${indent}${key}: ${flow(value)}`];
}

function flow(value) {
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  if (value !== null && typeof value === "object") {
    return `{${Object.entries(value)
      .map(([key, each]) => `${scalar(key)}: ${flow(each)}`)
      .join(", ")}}`;
  }
  return scalar(value);
}

function scalar(value) {
  if (typeof value !== "string") return String(value);
  return PLAIN.test(value) && (IPV4.test(value) || !SPECIAL.test(value)) ? value : JSON.stringify(value);
}
