// Reading resources, once or again and again; what was read stays while a later reading fails.

import { get } from "./api.js";
import { useEffect, useReducer, useRef } from "./lib.js";
import { session } from "./session.js";
import { useStore } from "./store.js";

const REFRESH_SECONDS = 5;

/** {data, error, fresh, reload}.  `path` null reads nothing; `every`: seconds between readings, 0 = once; `keep`: what
    another path had said is shown until this one answers, and is not `fresh`. */
export function useResource(path, { every = 0, keep = false } = {}) {
  const [, redraw] = useReducer((count) => count + 1, 0);
  const { epoch } = useStore(session);
  const held = useRef({ path: null, of: null, data: null, error: null, turn: 0 });
  const state = held.current;
  if (state.path !== path) Object.assign(state, { path, data: keep ? state.data : null, error: null });

  const read = async () => {
    if (path === null) return;
    const turn = ++state.turn;
    let next;
    try {
      next = { data: await get(path), of: path, error: null };
    } catch (error) {
      next = { error };
    }
    if (turn !== state.turn || state.path !== path) return; // a later reading has begun
    Object.assign(state, next);
    redraw();
  };

  useEffect(() => {
    read();
    if (!every) return () => state.turn++;
    const timer = setInterval(() => document.hidden || read(), every * 1000);
    return () => {
      clearInterval(timer);
      state.turn++;
    };
  }, [path, every, epoch]);

  return { data: state.data, error: state.error, fresh: state.of === path, reload: read };
}

/** The items of a kind, all of them up to a thousand, followed. */
export function useAll(kind) {
  const { data, error, reload } = useResource(kind === null ? null : `/${kind}?limit=1000`, {
    every: REFRESH_SECONDS,
  });
  return { items: data?.items ?? null, error, reload };
}

export const LIVE = { every: REFRESH_SECONDS };
