// The last minutes of counters, kept while a page is open.

import { useRef } from "../lib.js";

const KEPT = 300; // readings

/** Rows of {at, numbers}; one is added for each new `reading`, by its time in milliseconds. */
export function useSeries(key, at, numbers) {
  const held = useRef({ key: null, rows: [] });
  if (held.current.key !== key) held.current = { key, rows: [] };
  const { rows } = held.current;
  if (numbers && at && rows.at(-1)?.at !== at) {
    held.current.rows = [...rows, { at, numbers }].slice(-KEPT);
  }
  return held.current.rows;
}

/** Values as they were read: [[seconds], [values] for each of `pick`]. */
export function levels(rows, ...pick) {
  return [rows.map(({ at }) => at / 1000), ...pick.map((read) => rows.map(({ numbers }) => read(numbers)))];
}

/** How fast counters grow, per second.  A counter that is smaller than before began anew: nothing is known of that time. */
export function rates(rows, ...pick) {
  const pairs = rows.slice(1).map((row, index) => [rows[index], row]);
  const grown =
    (read) =>
    ([before, row]) => {
      const growth = read(row.numbers) - read(before.numbers);
      return growth < 0 ? null : growth / ((row.at - before.at) / 1000);
    };
  return [pairs.map(([, row]) => row.at / 1000), ...pick.map((read) => pairs.map(grown(read)))];
}
