// Leaving the wizard: what was created on the way is kept or deleted, as the person says.

import { at, remove } from "../api.js";
import { html, useState } from "../lib.js";
import { NOUNS } from "../kinds.js";
import { Dialog } from "../parts/dialog.js";
import { notice } from "../parts/overlay.js";
import { go } from "../router.js";

export function Leftovers({ created, dirty }) {
  const [asking, setAsking] = useState(false);
  const cancel = () => (created.length || dirty ? setAsking(true) : go("listeners"));
  return html`
    <button class="button quiet" type="button" onClick=${cancel}>Cancel</button>
    ${asking && html`<${Ask} created=${created} onClose=${() => setAsking(false)} />`}
  `;
}

function Ask({ created, onClose }) {
  const [busy, setBusy] = useState(false);
  async function clear() {
    setBusy(true);
    for (const { kind, resource } of [...created].reverse()) {
      try {
        await remove(at(kind, resource.name));
      } catch (error) {
        notice(`${resource.name} stays: ${error.message}`, "bad");
      }
    }
    go("listeners");
  }
  const foot = html`
    <button class="button" type="button" autofocus onClick=${onClose}>Go on with the form</button>
    ${created.length > 0 && html`<button class="button danger" type="button" disabled=${busy}
        onClick=${clear}>Leave and delete them</button>`}
    <button class="button ${created.length ? "" : "danger"}" type="button" disabled=${busy}
        onClick=${() => go("listeners")}>${created.length ? "Leave and keep them" : "Leave"}</button>
  `;
  return html`
    <${Dialog} title="Leave without creating the listener?" onClose=${onClose} foot=${foot} narrow=${true}>
      ${
        created.length
          ? html`<p>These were created on the way:</p>
          <ul>${created.map(({ kind, resource }) => html`<li>${NOUNS[kind]} <strong>${resource.name}</strong>
          </li>`)}</ul>`
          : html`<p>What you have typed will be lost.</p>`
      }
    <//>
  `;
}
