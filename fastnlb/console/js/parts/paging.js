// A list by pages of cursors, filtered by name and tag, read again every few seconds.

import { plural } from "../format.js";
import { html, useEffect, useState } from "../lib.js";
import { LIVE, useResource } from "../resource.js";

const PAGE = 50;
const TYPING_PAUSE = 200; // milliseconds

/** {data, error, reload, filters, pager}: two pieces to be placed, and what was read. */
export function usePaged(kind, { tags = true } = {}) {
  const [filter, setFilter] = useState({ name: "", tag: "" });
  const [applied, setApplied] = useState(filter);
  const [cursors, setCursors] = useState([]);
  useEffect(() => {
    if (filter === applied) return;
    const timer = setTimeout(() => {
      setApplied(filter);
      setCursors([]);
    }, TYPING_PAUSE);
    return () => clearTimeout(timer);
  }, [filter]);

  const query = new URLSearchParams({ limit: PAGE });
  if (applied.name) query.set("name", applied.name);
  if (applied.tag) query.set("tag", applied.tag);
  if (cursors.length) query.set("cursor", cursors.at(-1));
  const { data, error, fresh, reload } = useResource(`/${kind}?${query}`, { ...LIVE, keep: true });
  const filtered = Boolean(applied.name || applied.tag);
  return {
    data,
    error,
    reload,
    filtered,
    filters: html`<${Filters} filter=${filter} setFilter=${setFilter} tags=${tags} />`,
    pager: html`<${Pager} data=${data} fresh=${fresh} cursors=${cursors} setCursors=${setCursors} />`,
  };
}

function Filters({ filter, setFilter, tags }) {
  const known = useResource(tags ? "/tags" : null, { every: 10 }).data?.items ?? [];
  return html`
    <div class="filters" role="search">
      <input class="input" type="search" aria-label="Filter by name" placeholder="Filter by name" value=${filter.name}
          onInput=${(event) => setFilter({ ...filter, name: event.target.value })} />
      ${
        (known.length > 0 || filter.tag) &&
        html`<select aria-label="Filter by tag"
            onChange=${(event) => setFilter({ ...filter, tag: event.target.value })}>
        <option value="" selected=${filter.tag === ""}>Every tag</option>
        ${known.flatMap(({ key, values }) =>
          Object.keys(values).map(
            (value) =>
              html`<option value=${`${key}=${value}`}
                  selected=${filter.tag === `${key}=${value}`}>${key}=${value}</option>`,
          ),
        )}
      </select>`
      }
    </div>
  `;
}

function Pager({ data, fresh, cursors, setCursors }) {
  if (!data) return null;
  if (!cursors.length && !data.next) return null;
  // The page before is shown until this one is read: its `next` would lead to this page once more.
  const next = fresh ? data.next : null;
  return html`
    <nav class="filters row spread" aria-label="Pages">
      <span class="muted">${fresh ? extent(data, cursors.length * PAGE) : "Reading …"}</span>
      <span class="row">
        <button class="button little" type="button" disabled=${!cursors.length}
            onClick=${() => setCursors(cursors.slice(0, -1))}>Previous</button>
        <button class="button little" type="button" disabled=${!data.next}
            onClick=${() => next && setCursors([...cursors, next])}>Next</button>
      </span>
    </nav>
  `;
}

function extent({ items, total }, before) {
  return items.length ? `${before + 1} to ${before + items.length} of ${total ?? "?"}` : plural(0, "item");
}
