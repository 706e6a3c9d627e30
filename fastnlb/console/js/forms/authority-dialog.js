// Authorities that clients' certificates may come from: new ones, or others in place of those there are.

import { html } from "../lib.js";
import { NumberField, PemField, TextField } from "./fields.js";
import { present, useForm, wholeNumber } from "./form.js";
import { ResourceDialog } from "./resource-dialog.js";
import { TagsField, tagRows, tagsOf } from "./rows.js";

export function AuthorityDialog({ replaces = null, onClose, onDone }) {
  const form = useForm({
    name: "",
    certificate_pem: replaces?.certificate_pem ?? "",
    crl_pem: replaces?.crl_pem ?? "",
    verify_depth: String(replaces?.verify_depth ?? 4),
    tags: tagRows(replaces?.tags),
  });
  return html`
    <${ResourceDialog} kind="ca-certificates" title=${replaces ? `Change ${replaces.name}` : "Add a CA certificate"}
        verb=${replaces ? "Save" : "Add"}
        form=${form} body=${() => bodyOf(form.values, replaces)} replaces=${replaces} onClose=${onClose}
            onDone=${onDone}>
      ${!replaces && html`<${TextField} form=${form} name="name" label="Name"
          hint="How listeners refer to it: letters, digits and . _ -" />`}
      <${PemField} form=${form} name="certificate_pem" label="CA certificates" hint="One or more, as PEM." />
      <${PemField} form=${form} name="crl_pem" label="Revocation lists" optional=${true} rows=${3}
          hint="One of every authority on the way up to the root; without one nobody is asked." />
      <${NumberField} form=${form} name="verify_depth" label="Intermediate certificates at most" hint="0 to 10" />
      <${TagsField} form=${form} />
    <//>
  `;
}

function bodyOf({ name, certificate_pem: text, crl_pem: crl, verify_depth: depth, tags }, replaces) {
  return present({
    name: replaces ? undefined : name.trim(),
    certificate_pem: text,
    crl_pem: crl.trim() ? crl : null,
    verify_depth: wholeNumber(depth) ?? 4,
    tags: tagsOf(tags),
  });
}
