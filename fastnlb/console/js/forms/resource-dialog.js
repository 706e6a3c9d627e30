// The dialog around a form that creates a resource, or changes one there is.

import { html } from "../lib.js";
import { Dialog } from "../parts/dialog.js";
import { write } from "../parts/writing.js";
import { FormErrors } from "./fields.js";
import { useSending } from "./form.js";

/** `body()`: what is to be sent.  `replaces`: what it is a change of.  `verb`: of the button.
    `onDone(resource, body)`. */
export function ResourceDialog({ kind, title, verb, form, body, replaces = null, onClose, onDone, children }) {
  const { busy, failure, run, keyFor } = useSending(form);
  const submit = () =>
    run(async () => {
      const sent = body();
      const done = await write(kind, sent, { key: keyFor(sent), replaces });
      if (done !== null) onDone(done, sent);
    });
  const foot = html`
    <button class="button" type="button" onClick=${onClose}>Cancel</button>
    <button class="button primary" type="submit" disabled=${busy}>${verb}</button>
  `;
  return html`
    <${Dialog} title=${title} onClose=${onClose} onSubmit=${submit} foot=${foot}>
      <${FormErrors} form=${form} failure=${failure} />
      ${children}
    <//>
  `;
}
