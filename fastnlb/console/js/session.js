// Who we are to the API, and whether it can be reached.
//
// The token is in this module's memory and nowhere else: no storage, no cookie, no address.  A request that needs a
// token waits for the login dialog and then goes on, so a form that is open when a token expires loses nothing.

import { makeStore } from "./store.js";

const RETRY_SECONDS = [1, 2, 4, 8];

let token = "";
let waiting = null; // for the login dialog: {promise, resolve}
let probe = async () => false;

/** `login`: why a token is asked for, or null.  `lost`: since when nobody answers.  `epoch` counts reconnections. */
export const session = makeStore({ login: null, lost: null, epoch: 0, hasToken: false, status: null });

export const bearer = () => token;

/** Resolves to true when there is a new token, to false when the person gave up. */
export function askLogin(why) {
  if (waiting === null) {
    waiting = {};
    waiting.promise = new Promise((resolve) => (waiting.resolve = resolve));
    session.patch({ login: why });
  }
  return waiting.promise;
}

export function giveToken(given) {
  token = given;
  session.patch({ login: null, hasToken: true, epoch: session.get().epoch + 1 });
  finishWaiting(true);
}

export function giveUpLogin() {
  session.patch({ login: null });
  finishWaiting(false);
}

export function signOut() {
  token = "";
  session.patch({ hasToken: false, status: null });
  askLogin("You have signed out.");
}

function finishWaiting(answer) {
  const { resolve } = waiting ?? {};
  waiting = null;
  resolve?.(answer);
}

/** How to find out whether the API answers again; api.js says it, so that the two need not import each other. */
export function setProbe(ask) {
  probe = ask;
}

export function connectionLost() {
  if (session.get().lost !== null) return;
  session.patch({ lost: Date.now() });
  retry(0);
}

/** Somebody has answered: then whatever is shown is read again. */
export function connectionBack() {
  if (session.get().lost !== null) session.patch({ lost: null, epoch: session.get().epoch + 1 });
}

async function retry(attempt) {
  await new Promise((resolve) =>
    setTimeout(resolve, 1000 * RETRY_SECONDS[Math.min(attempt, RETRY_SECONDS.length - 1)]),
  );
  if (session.get().lost !== null && !(await tryNow())) retry(attempt + 1);
}

/** True when the API answers. */
export async function tryNow() {
  if (!(await probe())) return false;
  connectionBack();
  return true;
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;

/** Why nothing can be changed here, or "". */
export function readOnlyReason() {
  const { status } = session.get();
  if (status === null) return "";
  if (status.read_only_reason) return sentence(status.read_only_reason);
  if (status.caller?.role === "read") return `The token ${status.caller.name} may only read.`;
  return status.writable === false ? "This daemon is read-only." : "";
}
