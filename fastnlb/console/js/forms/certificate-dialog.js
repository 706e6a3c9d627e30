// A new certificate, by upload, by paste, or self-signed to try with; or a renewal in place of one there is.
//
// The private key is in this form's memory until it is sent, and gone with the form.

import { html } from "../lib.js";
import { ChoiceField, PemField, TextField } from "./fields.js";
import { useForm, words } from "./form.js";
import { ResourceDialog } from "./resource-dialog.js";
import { TagsField, tagsOf } from "./rows.js";

const KINDS = [
  { value: "pem", title: "Upload or paste", hint: "Certificate with its chain, and the private key, as PEM." },
  {
    value: "self",
    title: "Self-signed, to try with",
    hint: "Made by the daemon. Browsers and clients will not trust it.",
  },
];

const KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+-----END [A-Z ]*PRIVATE KEY-----\s*/;

/** `replaces`: the certificate that is renewed.  `onDone(resource, sent)` is told nothing of the key. */
export function CertificateDialog({ replaces = null, onClose, onDone }) {
  const form = useForm({ how: "pem", name: "", certificate_pem: "", private_key_pem: "", self_signed: "", tags: [] });
  const { values } = form;
  return html`
    <${ResourceDialog} kind="certificates" title=${replaces ? `Replace ${replaces.name}` : "Create a certificate"}
        verb=${replaces ? "Replace" : "Create"}
        form=${form} body=${() => bodyOf(values, replaces)} replaces=${replaces} onClose=${onClose}
        onDone=${(made, sent) => onDone(made, { name: made.name, self_signed: sent.self_signed })}>
      ${
        replaces
          ? html`<p>Every listener that uses <strong>${replaces.name}</strong> shows the new one from the next connection on. Connections that run are not touched.</p>`
          : html`
            <${ChoiceField} form=${form} name="how" label="Where it comes from" choices=${KINDS} />
            <${TextField} form=${form} name="name" label="Name"
                hint="How listeners refer to it: letters, digits and . _ -" />
          `
      }
      ${values.how === "pem" ? html`<${PemFields} form=${form} />` : html`<${TextField} form=${form}
          name="self_signed" label="Names it is for" hint="Host names or addresses, with a space between them."
              placeholder="www.example.test" />`}
      ${!replaces && html`<${TagsField} form=${form} />`}
    <//>
  `;
}

function PemFields({ form }) {
  return html`
    <${PemField} form=${form} name="certificate_pem" label="Certificate"
        hint="The leaf first, then its chain. A key in the same file is taken too." />
    <${PemField} form=${form} name="private_key_pem" label="Private key" secret=${true}
        hint="Sent to the daemon and never shown again; it stays in the memory of this form until then." />
  `;
}

function bodyOf({ how, name, certificate_pem: text, private_key_pem: key, self_signed: names, tags }, replaces) {
  const named = replaces ? {} : { name: name.trim(), tags: tagsOf(tags) };
  if (how === "self" && !replaces) return { ...named, self_signed: words(names) };
  const inside = key.trim() ? null : KEY.exec(text);
  return {
    ...named,
    certificate_pem: inside ? text.replace(KEY, "") : text,
    private_key_pem: inside ? inside[0] : key,
  };
}
