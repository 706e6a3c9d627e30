// Deleting and other things that take something away: asked for with what is lost, as the API's own plan says it.

import { ApiError } from "../api.js";
import { html, useEffect, useState } from "../lib.js";
import { Plan, showYaml } from "./bits.js";
import { Dialog } from "./dialog.js";

/** `plan()`: the dry run's answer.  `act()`: does it.  `why`: why nothing can be changed here, with `yaml`. */
export function Confirm({ title, verb, danger = true, plan, act, onClose, onDone, children }) {
  const [answer, setAnswer] = useState(null);
  const [failure, setFailure] = useState(null);
  const [busy, setBusy] = useState(false);

  async function attempt(action, then) {
    setBusy(true);
    try {
      then(await action());
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      if (error instanceof ApiError && error.readOnly) {
        onClose();
        showYaml(error.message, error.yaml);
      }
      setFailure(error);
    } finally {
      setBusy(false);
    }
  }

  useEffect(() => {
    if (plan) attempt(plan, ({ change }) => setAnswer(change));
  }, []);

  const foot = html`
    <button class="button" type="button" autofocus onClick=${onClose}>Cancel</button>
    <button class=${`button ${danger ? "danger solid" : "primary"}`} type="button" disabled=${busy}
        onClick=${() => attempt(act, onDone)}>${verb}</button>
  `;
  return html`
    <${Dialog} title=${title} onClose=${onClose} foot=${foot} narrow=${true}>
      ${children}
      ${answer && html`<${Plan} change=${answer} />`}
      ${
        failure &&
        html`<div class="banner bad" role="alert"><div><strong>${failure.message}</strong>
        ${failure.errors?.length > 0 && html`<ul>${failure.errors.map(({ message }) => html`<li>${message}</li>`)}</ul>`}</div></div>`
      }
    <//>
  `;
}
