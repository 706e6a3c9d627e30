// Where we are: the part of the address behind #, as a list of decoded parts.

import { makeStore } from "./store.js";

function parse() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decode);
  return { parts, query: new URLSearchParams(query) };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const route = makeStore(parse());

let guard = null; // asked before a form with something typed is left
let here = location.hash;

window.addEventListener("hashchange", () => {
  if (location.hash === here) return;
  if (guard !== null && !guard()) {
    history.replaceState(null, "", here || "#/");
    return;
  }
  here = location.hash;
  route.set(parse());
});

window.addEventListener("beforeunload", (event) => {
  if (guard !== null) event.preventDefault();
});

export const to = (...parts) => `#/${parts.map(encodeURIComponent).join("/")}`;

export function go(...parts) {
  guard = null;
  location.hash = to(...parts);
}

/** While a form has something typed: leaving asks first.  The value takes the guard away again. */
export function guardLeaving(question) {
  const mine = () => window.confirm(question);
  guard = mine;
  return () => {
    if (guard === mine) guard = null;
  };
}
