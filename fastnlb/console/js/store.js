// A value that components follow.

import { useLayoutEffect, useReducer } from "./lib.js";

export function makeStore(initial) {
  let value = initial;
  const followers = new Set();
  return {
    get: () => value,
    set(next) {
      value = next;
      for (const each of [...followers]) each();
    },
    patch(part) {
      this.set({ ...value, ...part });
    },
    follow(follower) {
      followers.add(follower);
      return () => followers.delete(follower);
    },
  };
}

/** The value now; the component is drawn again when it changes. */
export function useStore(store) {
  const [, redraw] = useReducer((count) => count + 1, 0);
  useLayoutEffect(() => store.follow(redraw), [store]);
  return store.get();
}
