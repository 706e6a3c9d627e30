// A page that lists a kind: head, filters, table or what to do when there is nothing yet.

import { html } from "../lib.js";
import { Empty, Loading, Trouble } from "./bits.js";
import { usePaged } from "./paging.js";

/** `columns`: [[label, cell(item), class]]; `empty`: {title, text}; `actions`: buttons of the head. */
export function ListPage({ kind, title, text, columns, empty, actions, rowActions }) {
  const { data, error, reload, filtered, filters, pager } = usePaged(kind);
  const items = data?.items ?? [];
  const nothing = data !== null && !items.length && !filtered;
  return html`
    <div class="page-head"><div><h1>${title}</h1><p>${text}</p></div><div class="row">${actions}</div></div>
    <${Trouble} error=${data ? null : error} reload=${reload} />
    ${!data && !error && html`<${Loading} />`}
    ${
      data &&
      html`
      <section class="panel" aria-label=${title}>
        ${
          nothing
            ? html`<${Empty} ...${empty}>${actions}<//>`
            : html`
              ${filters}
              ${
                items.length
                  ? html`<${Table} label=${title} columns=${columns} items=${items} rowActions=${rowActions}
                      reload=${reload} />`
                  : html`<${Empty} title="Nothing matches" text="No name or tag is like this." />`
              }
              ${pager}
            `
        }
      </section>
    `
    }
  `;
}

function Table({ label, columns, items, rowActions, reload }) {
  return html`
    <div class="table-wrap">
      <table class="cards" aria-label=${label}>
        <thead><tr>
          ${columns.map(([head, , kind]) => html`<th scope="col"
              class=${kind === "number" ? "number" : ""}>${head}</th>`)}
          ${rowActions && html`<th scope="col"><span class="unseen">Actions</span></th>`}
        </tr></thead>
        <tbody>
          ${items.map(
            (item) => html`<tr key=${item.name}>
              ${columns.map(([head, cell, kind = ""]) => html`<td class=${kind}
                  data-label=${head}>${cell(item)}</td>`)}
              ${rowActions && html`<td class="actions">${rowActions(item, reload)}</td>`}
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  `;
}
