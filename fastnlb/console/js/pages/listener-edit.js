// Changing a listener: the same fields as in the wizard on one page.

import { differences } from "../diff.js";
import { endpoint } from "../format.js";
import { CertificateFields } from "../forms/certificate-fields.js";
import { FormErrors } from "../forms/fields.js";
import { focusFirstWrong, useForm, useGuard, useSending } from "../forms/form.js";
import { GroupChoice } from "../forms/group-choice.js";
import { ListenerFields } from "../forms/listener-fields.js";
import { fromListener, ownErrors, toListener } from "../forms/listener-values.js";
import { html } from "../lib.js";
import { Panel } from "../parts/bits.js";
import { Conflict } from "../parts/conflict.js";
import { Detail, Head } from "../parts/detail.js";
import { useEditing } from "../parts/editing.js";
import { notice } from "../parts/overlay.js";
import { go, to } from "../router.js";
import { readOnlyReason } from "../session.js";

export function EditListener({ name }) {
  return html`<${Detail} kind="listeners" name=${name} every=${0}>${(listener) => html`<${Editor}
      read=${listener} />`}<//>`;
}

const plain = (listener) => toListener(fromListener(listener));

function Editor({ read }) {
  const form = useForm(fromListener(read));
  const sending = useSending(form);
  useGuard(form.dirty);
  const { base, conflict, save, take, reapply, dismiss } = useEditing({
    kind: "listeners",
    read,
    plain,
    mine: () => toListener(form.values),
    sending,
    onTaken: (theirs) => form.reset(fromListener(theirs)),
    onSaved: (saved) => {
      notice(`The listener ${saved.name} is changed.`);
      go("listeners", saved.name);
    },
  });
  const submit = (event) => {
    event.preventDefault();
    const own = ownErrors(form.values);
    if (!own.length) return save();
    form.setErrors(own);
    return focusFirstWrong();
  };
  const changed = differences(plain(base), toListener(form.values)).map(({ field }) => field);
  return html`
    <${Head} kind="listeners" list="Listeners" name=${`Edit ${read.name}`}
        text=${html`${read.protocol} on <code>${endpoint(read)}</code>. Connections that run are not touched.`} />
    <form class="stack" onSubmit=${submit} noValidate aria-label=${`Edit ${read.name}`}>
      <${FormErrors} form=${form} failure=${sending.failure} />
      <${Panel} title="Listener"><${ListenerFields} form=${form} editing=${true} /><//>
      ${read.protocol === "TCPSSL" && html`<${Panel} title="Certificate"><${CertificateFields} form=${form} /><//>`}
      <${Panel} title="Server group"><${GroupChoice} form=${form} /><//>
      <div class="panel wizard-foot">
        <span class="muted small grow">${changed.length ? html`Changed: <code>${changed.join(", ")}</code>` : "Nothing is changed yet."}</span>
        <div class="row">
          <a class="button" href=${to("listeners", read.name)}>Cancel</a>
          <button class="button primary" type="submit"
              disabled=${sending.busy || !changed.length}>${readOnlyReason() ? "Show the YAML" : "Save"}</button>
        </div>
      </div>
    </form>
    ${conflict && html`<${Conflict} ...${conflict} onTake=${take} onReapply=${reapply} onClose=${dismiss} />`}
  `;
}
