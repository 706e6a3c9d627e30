// Two versions of a resource, field by field.

import { same } from "./kinds.js";

const IGNORED = new Set(["etag", "state", "change", "name"]);

/** [{field, old, now}] of what differs. */
export function differences(old, now) {
  const fields = new Set([...Object.keys(old ?? {}), ...Object.keys(now ?? {})]);
  return [...fields]
    .filter((field) => !IGNORED.has(field) && !same(old?.[field] ?? null, now?.[field] ?? null))
    .map((field) => ({ field, old: old?.[field], now: now?.[field] }));
}

/** What a PATCH has to say to make `now` of `old`. */
export function mergePatch(old, now) {
  return Object.fromEntries(
    differences(old, now).map(({ field, old: was, now: is }) => [field, patchValue(was, is)]),
  );
}

/** Mappings are merged by PATCH, so a key that is gone has to be said. */
function patchValue(was, is) {
  const mapping = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  if (is === undefined) return null;
  if (!mapping(was) || !mapping(is)) return is;
  const gone = Object.keys(was)
    .filter((key) => !(key in is))
    .map((key) => [key, null]);
  return { ...Object.fromEntries(gone), ...is };
}

/** A value as a person reads it. */
export function shown(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return value.length ? value.map(shown).join(", ") : "none";
  const inside = Object.entries(value).filter(([, each]) => each !== null);
  return inside.length ? inside.map(([key, each]) => `${key} ${shown(each)}`).join(", ") : "none";
}
