// Quick creation: protocol, port, certificate, TLS policy and server group in one dialog, created together or not at all.

import { post } from "../api.js";
import { FormErrors, ChoiceField, NumberField, PemField, SelectField, TextField } from "../forms/fields.js";
import { present, useForm, useSending, wholeNumber, words } from "../forms/form.js";
import { DEFAULT_POLICY } from "../kinds.js";
import { html } from "../lib.js";
import { Dialog } from "../parts/dialog.js";
import { notice, overlay } from "../parts/overlay.js";
import { useAll } from "../resource.js";
import { go } from "../router.js";
import { readOnlyReason } from "../session.js";
import { yamlOf } from "../yaml.js";

const NEW = "";
const PROTOCOLS = [
  { value: "TCPSSL", title: "TCPSSL" },
  { value: "TCP", title: "TCP" },
];
const START = {
  protocol: "TCPSSL",
  port: "",
  certificate: NEW,
  how: "self",
  self_signed: "",
  certificate_pem: "",
  private_key_pem: "",
  security_policy: DEFAULT_POLICY,
  server_group: NEW,
  servers: "",
};
const HOW = [
  ["self", "Self-signed, to try with"],
  ["pem", "Paste or upload"],
];

const options = (items, first) => [[NEW, first], ...(items ?? []).map(({ name }) => [name, name])];

export function QuickDialog({ onClose }) {
  const form = useForm(START);
  const { busy, failure, run, keyFor } = useSending(form);
  const certificates = useAll("certificates").items;
  const policies = useAll("security-policies").items;
  const groups = useAll("server-groups").items;
  const { values } = form;
  const submit = () =>
    run(async () => {
      const body = bodyOf(values);
      const why = readOnlyReason();
      if (why) return overlay.set({ kind: "read-only", why, yaml: yamlOfQuick(body) });
      const { listener } = await post("/quick", body, { key: keyFor(body) });
      notice(`The listener ${listener.name} serves.`);
      return go("listeners", listener.name);
    });
  const foot = html`
    <button class="button" type="button" onClick=${onClose}>Cancel</button>
    <button class="button primary" type="submit" disabled=${busy}>${busy ? "Creating …" : "Create"}</button>
  `;
  return html`
    <${Dialog} title="Quick creation" onClose=${onClose} onSubmit=${submit} foot=${foot}>
      <${FormErrors} form=${form} failure=${failure} />
      <${ChoiceField} form=${form} name="protocol" label="Protocol" choices=${PROTOCOLS} />
      <${NumberField} form=${form} name="port" label="Port" hint="1 to 65535" />
      ${
        values.protocol === "TCPSSL" &&
        html`
        <${SelectField} form=${form} name="certificate" label="Server certificate"
            options=${options(certificates, "A new one")} />
        ${values.certificate === NEW && html`<${NewCertificate} form=${form} />`}
        <${SelectField} form=${form} name="security_policy" label="TLS policy"
            options=${(policies ?? [{ name: DEFAULT_POLICY }]).map(({ name }) => [name, name])} />
      `
      }
      <${SelectField} form=${form} name="server_group" label="Server group" options=${options(
        (groups ?? []).filter((group) => !group.any_port),
        "A new one",
      )} />
      ${values.server_group === NEW && html`<${TextField} form=${form} name="servers" label="Servers"
          placeholder="10.0.0.11:8080 10.0.0.12:8080" hint="address:port, several with a space between them." />`}
    <//>
  `;
}

function NewCertificate({ form }) {
  return html`
    <${SelectField} form=${form} name="how" label="The new certificate" options=${HOW} />
    ${
      form.values.how === "self"
        ? html`<${TextField} form=${form} name="self_signed" label="Names it is for"
            placeholder="www.example.test" />`
        : html`<${PemField} form=${form} name="certificate_pem" label="Certificate" rows=${3} /><${PemField}
            form=${form} name="private_key_pem" label="Private key" rows=${3} secret=${true} />`
    }
  `;
}

function bodyOf(values) {
  return present({
    protocol: values.protocol,
    port: wholeNumber(values.port) ?? null,
    ...(values.protocol === "TCPSSL" ? { ...certificateOf(values), security_policy: values.security_policy } : {}),
    server_group: values.server_group || undefined,
    servers: values.server_group ? undefined : words(values.servers),
  });
}

function certificateOf({ certificate, how, self_signed: names, certificate_pem: pem, private_key_pem: key }) {
  if (certificate) return { certificate };
  return how === "self" ? { self_signed: words(names) } : { certificate_pem: pem, private_key_pem: key };
}

/** What the dialog would create, as a file says it. */
function yamlOfQuick({ protocol, port, certificate, security_policy: policy, server_group: group, servers }) {
  const name = `${protocol === "TCPSSL" ? "tls" : "tcp"}-${port ?? "new"}`;
  const made = (servers ?? []).map((each) => {
    const [, address, at] = /^(.*?)(?::(\d+))?$/.exec(each);
    return { address: address.replace(/^\[|\]$/g, ""), port: wholeNumber(at) ?? null, weight: 100 };
  });
  const tls = protocol === "TCPSSL";
  return yamlOf([
    ...(tls && !certificate ? [{ kind: "certificates", resource: { name } }] : []),
    ...(group ? [] : [{ kind: "server-groups", resource: { name, servers: made } }]),
    {
      kind: "listeners",
      resource: {
        name,
        protocol,
        port,
        server_group: group ?? name,
        ...(tls ? { certificate: certificate ?? name, security_policy: policy } : {}),
      },
    },
  ]);
}
