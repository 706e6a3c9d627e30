// Somebody else has changed what is being edited: what they changed, what was typed here, and what to do about it.

import { differences, shown } from "../diff.js";
import { html } from "../lib.js";
import { Dialog } from "./dialog.js";

/** `base`: as it was when editing began; `theirs`: as it is now; `mine`: as the form would have it. */
export function Conflict({ base, theirs, mine, onTake, onReapply, onClose }) {
  const their = new Map(differences(base, theirs).map((each) => [each.field, each]));
  const my = new Map(differences(base, mine).map((each) => [each.field, each]));
  const fields = [...new Set([...their.keys(), ...my.keys()])];
  const both = fields.filter((field) => their.has(field) && my.has(field));
  const foot = html`
    <button class="button" type="button" onClick=${onClose}>Back to the form</button>
    <button class="button" type="button" onClick=${onTake}>Take theirs over</button>
    <button class="button primary" type="button" onClick=${onReapply}>Reapply mine on top</button>
  `;
  return html`
    <${Dialog} title="Somebody else has changed this meanwhile" onClose=${onClose} foot=${foot}>
      <p tabindex="-1">Nothing of yours was saved yet, and nothing is lost.
        ${both.length > 0 ? html` Both of you have changed <strong>${both.join(", ")}</strong>: reapplying puts yours in place of theirs.` : " You have changed different fields: reapplying keeps both."}</p>
      <div class="table-wrap">
        <table>
          <caption class="unseen">The difference</caption>
          <thead><tr><th scope="col">Field</th><th scope="col">When you began</th><th scope="col">Theirs, now</th><th
              scope="col">Yours</th></tr></thead>
          <tbody>
            ${fields.map(
              (field) => html`<tr key=${field}>
                <th scope="row"><code>${field}</code></th>
                <td class="break">${shown(base[field])}</td>
                <td class="break">${their.has(field) ? html`<strong>${shown(theirs[field])}</strong>` : "unchanged"}</td>
                <td class="break">${my.has(field) ? html`<strong>${shown(mine[field])}</strong>` : "unchanged"}</td>
              </tr>`,
            )}
          </tbody>
        </table>
      </div>
    <//>
  `;
}
