// One or several of the resources there are: radio or check boxes with what there is to know of each, and a search
// where there are many.

import { plural } from "../format.js";
import { html, useState } from "../lib.js";
import { useResource } from "../resource.js";
import { at } from "../api.js";
import { Trouble } from "../parts/bits.js";
import { Card, Wrong } from "./fields.js";
import { useFieldOf } from "./form.js";

const SHOWN = 50;
const SEARCH_FROM = 8;

/** `describe(resource)` is what stands below a name.  `many`: the value is a list.
    `usable(resource)`: "" or why it cannot be chosen. */
export function Picker({
  form,
  name,
  path = name,
  kind,
  label,
  hint,
  describe,
  many,
  usable = () => "",
  none,
  actions,
}) {
  useFieldOf(form, path);
  const [search, setSearch] = useState("");
  const query = search ? `&name=${encodeURIComponent(search)}` : "";
  const { data, error: trouble, reload } = useResource(`/${kind}?limit=${SHOWN}${query}`, { every: 4, keep: true });
  const value = form.values[name];
  const chosen = many ? value : value ? [value] : [];
  const id = `pick-${path}`;
  const error = form.errorAt(path);
  const items = data?.items ?? [];
  const toggle = (item, on) => {
    const next = many ? (on ? [...value, item] : value.filter((each) => each !== item)) : item;
    form.set({ [name]: next }, [path]);
  };
  return html`
    <fieldset class="field wide"
        aria-describedby=${[error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(" ") || undefined}>
      <legend class="label">${label}</legend>
      ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
      ${
        (search || (data?.total ?? items.length) > SEARCH_FROM) &&
        html`<input class="input" type="search" aria-label=${`Search: ${label}`} placeholder="Search by name"
            value=${search} onInput=${(event) => setSearch(event.target.value)} />`
      }
      <${Trouble} error=${trouble && !data ? trouble : null} reload=${reload} />
      ${data && !items.length && !chosen.length && html`<p
          class="muted">${search ? "No name has this in it." : none}</p>`}
      ${
        (items.length > 0 || chosen.length > 0) &&
        html`<div class="picker">
        ${!many && chosen.filter((each) => !items.some((item) => item.name === each)).map((each) => html`<${Elsewhere}
            key=${each} ...${{ id, kind, each, describe }} />`)}
        ${items.map((item) => {
          const why = usable(item);
          return html`
            <${Card} key=${item.name} type=${many ? "checkbox" : "radio"} group=${id} title=${item.name}
                hint=${why || describe(item)} error=${error}
              checked=${chosen.includes(item.name)} disabled=${Boolean(why) && !chosen.includes(item.name)}
              onChange=${(event) => toggle(item.name, event.target.checked)} />
          `;
        })}
      </div>`
      }
      ${data?.next && html`<p class="hint">${plural(data.total - items.length, "more")}: search by name.</p>`}
      <${Wrong} id=${id} error=${error} />
      ${actions && html`<div class="row">${actions}</div>`}
    </fieldset>
  `;
}

/** What is chosen and not on this part of the list. */
function Elsewhere({ id, kind, each, describe }) {
  const { data } = useResource(at(kind, each));
  return html`<${Card} type="radio" group=${id} title=${each} hint=${data ? describe(data) : ""} checked=${true} />`;
}
