// The REST API: the only way the console reads or changes anything.

import { askLogin, bearer, connectionBack, connectionLost, setProbe } from "./session.js";

const ROOT = "/api/v1";

const MISSING_KEY = /^missing key "([^"]+)"(?:: )?/;

/** A refusal.  `errors`: [{path, message, code, resource}], `current`: the resource as it is (412). */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `The API answered ${status}.`);
    this.status = status;
    this.code = problem.code ?? "";
    this.errors = (problem.errors ?? []).map(worded);
    this.current = problem.current ?? null;
    this.yaml = problem.yaml ?? "";
  }

  get readOnly() {
    return this.code === "OperationDenied.ReadOnly";
  }

  get conflict() {
    return this.status === 412;
  }
}

/** An error in words for a form: there are no keys to be seen in one. */
const worded = (error) => ({
  ...error,
  path: error.path ?? "",
  message: error.message.replace(MISSING_KEY, "Required: "),
});

/** Nobody answered: whether a write has happened is not known. */
export class Lost extends Error {
  constructor() {
    super("The daemon cannot be reached. Nothing you typed is lost; try again when it is back.");
  }
}

export const get = (path, options) => call("GET", path, undefined, options);
export const post = (path, body, options) => call("POST", path, body, options);
export const patch = (path, body, options) => call("PATCH", path, body, options);
export const remove = (path, options) => call("DELETE", path, undefined, options);

/** `path` below /api/v1 of names that are encoded each, such as at("listeners", "a b", "start"). */
export const at = (...parts) => `/${parts.map(encodeURIComponent).join("/")}`;

/** The answer's JSON with its ETag as `etag`.  Options: dryRun, ifMatch (an ETag), key (Idempotency-Key). */
async function call(method, path, body, options = {}) {
  for (;;) {
    const shown = bearer();
    const response = await fetchOnce(method, path, body, options);
    if (response.status !== 401) return answer(response);
    const problem = await problemOf(response);
    if (shown !== bearer()) continue; // somebody else has asked for a new token meanwhile
    const why = shown ? "Your token is no longer accepted. What you have typed is kept." : "";
    if (!(await askLogin(why))) throw new ApiError(401, problem);
  }
}

async function fetchOnce(method, path, body, options) {
  const query = options.dryRun ? `${path.includes("?") ? "&" : "?"}dry_run=true` : "";
  try {
    const response = await fetch(ROOT + path + query, {
      method,
      headers: headersFor(body, options),
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
    connectionBack();
    return response;
  } catch {
    connectionLost();
    throw new Lost();
  }
}

function headersFor(body, { ifMatch, key }) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (bearer()) headers.Authorization = `Bearer ${bearer()}`;
  if (ifMatch) headers["If-Match"] = `"${ifMatch.replaceAll('"', "")}"`;
  if (key) headers["Idempotency-Key"] = key;
  return headers;
}

async function answer(response) {
  if (!response.ok) throw new ApiError(response.status, await problemOf(response));
  let data;
  try {
    data = await response.json();
  } catch {
    connectionLost();
    throw new Lost(); // it went away in the middle of its answer
  }
  const etag = response.headers.get("ETag");
  return etag && !data.etag ? { ...data, etag } : data;
}

async function problemOf(response) {
  try {
    return await response.json();
  } catch {
    return { detail: `The daemon answered ${response.status} without saying why.` };
  }
}

setProbe(async () => {
  try {
    return (await fetch("/healthz", { cache: "no-store" })).ok;
  } catch {
    return false;
  }
});

/** One key for one content: a second press of the button after a lost answer repeats nothing. */
export function repeatKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
