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
  const { data, error, reload } = useResource(`/${kind}?${query}`, { ...LIVE, keep: true });
  const filtered = Boolean(applied.name || applied.tag);
  return {
    data,
    error,
    reload,
    filtered,
    filters: html`<${Filters} filter=${filter} setFilter=${setFilter} tags=${tags} />`,
    pager: html`<${Pager} data=${data} cursors=${cursors} setCursors=${setCursors} />`,
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

function Pager({ data, cursors, setCursors }) {
  if (!data) return null;
  const first = cursors.length * PAGE;
  const shown = data.items.length
    ? `${first + 1} to ${first + data.items.length} of ${data.total ?? "?"}`
    : plural(0, "item");
  if (!cursors.length && !data.next) return null;
  return html`
    <nav class="filters row spread" aria-label="Pages">
      <span class="muted">${shown}</span>
      <span class="row">
        <button class="button little" type="button" disabled=${!cursors.length}
            onClick=${() => setCursors(cursors.slice(0, -1))}>Previous</button>
        <button class="button little" type="button" disabled=${!data.next}
            onClick=${() => setCursors([...cursors, data.next])}>Next</button>
      </span>
    </nav>
  `;
}
