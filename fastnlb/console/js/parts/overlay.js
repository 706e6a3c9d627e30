// What can come over any page: the reason why nothing can be changed, with the YAML to write instead; short notices.

import { makeStore } from "../store.js";

/** null, or {kind: "read-only", why, yaml}. */
export const overlay = makeStore(null);

export const notices = makeStore([]);

const NOTICE_SECONDS = 6;
let count = 0;

export function notice(text, tone = "good") {
  const mine = { id: ++count, text, tone };
  notices.set([...notices.get(), mine]);
  setTimeout(() => notices.set(notices.get().filter((each) => each !== mine)), NOTICE_SECONDS * 1000);
}
