// A page about one resource: reading it, saying that there is none, and deleting it.

import { at, remove } from "../api.js";
import { names } from "../format.js";
import { html, useState } from "../lib.js";
import { NOUNS } from "../kinds.js";
import { LIVE, useResource } from "../resource.js";
import { go, to } from "../router.js";
import { readOnlyReason } from "../session.js";
import { yamlOf } from "../yaml.js";
import { Loading, showYaml, Trouble } from "./bits.js";
import { Confirm } from "./confirm.js";
import { notice } from "./overlay.js";

/** `children(resource, reload)` once it is read; `every` in seconds. */
export function Detail({ kind, name, every = LIVE.every, children }) {
  const { data, error, reload } = useResource(at(kind, name), { every });
  if (error?.status === 404) {
    return html`<h1>There is no ${NOUNS[kind]} ${name}</h1><p class="muted">It may have been deleted. <a
        href=${to(kind)}>Back to the list</a></p>`;
  }
  if (!data)
    return error ? html`<h1>${name}</h1><${Trouble} error=${error} reload=${reload} />` : html`<${Loading} />`;
  return children(data, reload);
}

/** Head of such a page. */
export const Head = ({ kind, list, name, badge, text, children }) => html`
  <div class="page-head">
    <div>
      <p class="crumb"><a href=${to(kind)}>${list}</a></p>
      <div class="title"><h1>${name}</h1>${badge}</div>
      ${text && html`<p>${text}</p>`}
    </div>
    <div class="row">${children}</div>
  </div>
`;

/** A button that deletes after asking.  What uses the resource stands in its way, and is named. */
export function Delete({ kind, resource, children }) {
  const [asking, setAsking] = useState(false);
  const noun = NOUNS[kind];
  const path = at(kind, resource.name);
  const press = () => {
    const why = readOnlyReason();
    if (why) showYaml(`${why} To delete it, take this out of the configuration file:`, yamlOf([{ kind, resource }]));
    else setAsking(true);
  };
  const done = () => {
    notice(`The ${noun} ${resource.name} is deleted.`);
    go(kind);
  };
  return html`
    <button class="button danger" type="button" onClick=${press}>Delete …</button>
    ${
      asking &&
      html`<${Confirm} title=${`Delete the ${noun} ${resource.name}?`} verb=${`Delete ${resource.name}`}
          onClose=${() => setAsking(false)} onDone=${done}
      plan=${() => remove(path, { dryRun: true })} act=${() => remove(path)}>${children}<//>`
    }
  `;
}

/** Links to what uses a resource. */
export function UsedBy({ items = [], kind = "listeners" }) {
  if (!items.length) return html`<span class="muted">nothing</span>`;
  return html`${items.map((each, index) => html`${index > 0 && ", "}<a href=${to(kind, each)}>${each}</a>`)}`;
}

export const usedText = (items = []) => (items.length ? `Used by ${names(items)}.` : "Not used by any listener.");
