// A new server group, wherever one can be chosen.

import { html } from "../lib.js";
import { useForm } from "./form.js";
import { GroupFields } from "./group-fields.js";
import { newGroup, toGroup } from "./group-values.js";
import { ResourceDialog } from "./resource-dialog.js";

export function GroupDialog({ start = {}, onClose, onDone }) {
  const form = useForm({ ...newGroup(), ...start });
  return html`
    <${ResourceDialog} kind="server-groups" title="Create a server group" verb="Create" form=${form}
        body=${() => toGroup(form.values)} onClose=${onClose} onDone=${onDone}>
      <${GroupFields} form=${form} />
    <//>
  `;
}
