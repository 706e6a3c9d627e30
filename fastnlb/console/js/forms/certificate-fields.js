// Server certificates, mutual authentication and the TLS policy of a listener: the wizard's second step.

import { at } from "../api.js";
import { date, fromNow, names, plural } from "../format.js";
import { html, useState } from "../lib.js";
import { useResource } from "../resource.js";
import { AuthorityDialog } from "./authority-dialog.js";
import { CertificateDialog } from "./certificate-dialog.js";
import { CheckField, ChoiceField } from "./fields.js";
import { Picker } from "./picker.js";
import { PolicyDialog } from "./policy-dialog.js";

const CLIENTS = [
  { value: "required", title: "Required", hint: "A client without a certificate that verifies is refused." },
  { value: "optional", title: "Optional", hint: "A client may do without one; one that it shows has to verify." },
];

export function describeCertificate({ state }) {
  if (!state) return "";
  const from = state.self_signed ? "self-signed" : `by ${state.issuer}`;
  const until =
    new Date(state.not_after) < Date.now() ? `expired ${fromNow(state.not_after)}` : `until ${date(state.not_after)}`;
  return [names(state.names ?? []) || state.subject, state.key_type, from, until].filter(Boolean).join(" · ");
}

export const describeAuthority = ({ state, crl_pem: crl }) =>
  [
    names(state?.subjects ?? []),
    state?.not_after && `until ${date(state.not_after)}`,
    crl ? "with a revocation list" : "no revocation list",
  ]
    .filter(Boolean)
    .join(" · ");

const describePolicy = ({ tls_versions: versions, ciphers, state }) =>
  `${versions.join(", ")} · ${plural(ciphers.length, "cipher")}${state?.system ? "" : " · custom"}`;

/** `onCreated(kind, resource, sent)` is told of what is made on the way. */
export function CertificateFields({ form, onCreated = () => {} }) {
  const { values } = form;
  const [open, setOpen] = useState(null);
  const made = (kind, change) => (resource, sent) => {
    setOpen(null);
    onCreated(kind, resource, sent);
    form.set(change(resource.name));
  };
  return html`
    <div class="stack">
      <${Picker} form=${form} name="certificate" kind="certificates" label="Server certificate"
          describe=${describeCertificate}
        hint="The certificate that clients are shown, unless an additional one is for the name they ask for."
        none="There is no certificate yet."
        actions=${html`<button class="button" type="button"
            onClick=${() => setOpen("certificate")}>Create a certificate …</button>`} />
      <details class="more" open=${values.additional_certificates.length > 0 || undefined}>
        <summary>Additional certificates${values.additional_certificates.length ? ` (${values.additional_certificates.length})` : ""}</summary>
        <div class="stack">
          <${Picker} form=${form} name="additional_certificates" kind="certificates" many=${true}
              label="For other names" describe=${describeCertificate}
            none="There is no certificate yet." hint="Chosen by the name that a client asks for (SNI)."
            usable=${(item) => (item.name === values.certificate ? "This is the server certificate." : "")}
            actions=${html`<button class="button" type="button"
                onClick=${() => setOpen("additional")}>Create another certificate …</button>`} />
          <${CheckField} form=${form} name="strict_sni" label="Refuse clients that ask for any other name" />
        </div>
      </details>
      <div class="section">
        <${CheckField} form=${form} name="mutual" path="mutual" label="Mutual authentication"
            hint="Clients have to show a certificate of an authority that you name." />
        ${
          values.mutual &&
          html`
          <${Picker} form=${form} name="ca_certificate" kind="ca-certificates" label="CA certificate"
              describe=${describeAuthority} none="There is no CA certificate yet."
            actions=${html`<button class="button" type="button"
                onClick=${() => setOpen("authority")}>Add a CA certificate …</button>`} />
          <${ChoiceField} form=${form} name="client_certificate" label="A client's certificate is"
              choices=${CLIENTS} />
        `
        }
      </div>
      <div class="section">
        <${Picker} form=${form} name="security_policy" kind="security-policies" label="TLS security policy"
            describe=${describePolicy}
          none="" actions=${html`<button class="button" type="button"
              onClick=${() => setOpen("policy")}>Create a policy …</button>`} />
        <${PolicyShown} name=${values.security_policy} />
      </div>
    </div>
    ${open === "certificate" && html`<${CertificateDialog} onClose=${() => setOpen(null)}
        onDone=${made("certificates", (name) => ({ certificate: name }))} />`}
    ${
      open === "additional" &&
      html`<${CertificateDialog} onClose=${() => setOpen(null)}
      onDone=${made("certificates", (name) => ({ additional_certificates: [...values.additional_certificates, name] }))} />`
    }
    ${open === "authority" && html`<${AuthorityDialog} onClose=${() => setOpen(null)}
        onDone=${made("ca-certificates", (name) => ({ ca_certificate: name }))} />`}
    ${open === "policy" && html`<${PolicyDialog} onClose=${() => setOpen(null)}
        onDone=${made("security-policies", (name) => ({ security_policy: name }))} />`}
  `;
}

/** Versions and ciphers of the policy that is chosen. */
function PolicyShown({ name }) {
  const { data } = useResource(name ? at("security-policies", name) : null);
  if (!data) return null;
  return html`
    <details class="more">
      <summary>Versions and ciphers of ${name}</summary>
      <p><strong>${data.tls_versions.join(", ")}</strong></p>
      <ul class="ciphers">${data.ciphers.map((each) => html`<li>${each}</li>`)}</ul>
      ${data.groups?.length > 0 && html`<p class="small muted">Key exchange: ${data.groups.join(", ")}</p>`}
    </details>
  `;
}
