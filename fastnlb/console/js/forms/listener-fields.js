// Protocol, ports, name, tags and the advanced settings of a listener: the wizard's first step, and part of editing.

import { html } from "../lib.js";
import { CheckField, ChoiceField, ManyField, NumberField, SelectField, TextField, Wrong } from "./fields.js";
import { useFieldOf } from "./form.js";
import { nameSuggestion } from "./listener-values.js";
import { TagsField } from "./rows.js";

const PROTOCOLS = [
  { value: "TCPSSL", title: "TCPSSL", hint: "Clients speak TLS, servers get plain TCP." },
  { value: "TCP", title: "TCP", hint: "Bytes are passed on as they are." },
];

const PORTS = [
  { value: "one", title: "One port" },
  { value: "range", title: "A range of ports", hint: "Each port is forwarded to the same port of the server." },
];

const ALPN = [
  ["", "Off"],
  ["HTTP1Only", "HTTP1Only: http/1.1, http/1.0"],
  ["HTTP2Only", "HTTP2Only: h2"],
  ["HTTP2Optional", "HTTP2Optional: http/1.1, http/1.0, h2"],
  ["HTTP2Preferred", "HTTP2Preferred: h2, http/1.1, http/1.0"],
];

const TLVS = [
  ["alpn", "Protocol agreed on (ALPN)"],
  ["authority", "Server name (SNI)"],
  ["ssl", "TLS version, cipher, client certificate"],
  ["crc32c", "Checksum"],
];

export function ListenerFields({ form, editing }) {
  const { values } = form;
  return html`
    <div class="stack">
      ${!editing && html`<${ChoiceField} form=${form} name="protocol" label="Protocol" choices=${PROTOCOLS} />`}
      <${ChoiceField} form=${form} name="ports" path="port_kind" label="Ports" choices=${PORTS}
        onPick=${(ports) => form.set({ ports }, ["port", "port_range"])} />
      <div class="form-grid">
        ${
          values.ports === "one"
            ? html`<${NumberField} form=${form} name="port" label="Port" hint="1 to 65535" />`
            : html`<${RangeField} form=${form} />`
        }
        <${TextField} form=${form} name="address" label="Address to listen on"
            hint="0.0.0.0 is every IPv4 address, :: every IPv6 address." />
        ${
          !editing &&
          html`<${TextField} form=${form} name="name" label="Name" placeholder=${nameSuggestion(values)}
          hint=${`Letters, digits and . _ - ; left empty it is ${nameSuggestion(values)}.`} />`
        }
      </div>
      <${TagsField} form=${form} />
      <${Advanced} form=${form} />
    </div>
  `;
}

function RangeField({ form }) {
  useFieldOf(form, "port_range");
  const error = form.errorAt("port_range");
  const input = (
    name,
    label,
  ) => html`<input class="input short" inputmode="numeric" aria-label=${label} value=${form.values[name]}
    aria-invalid=${error ? "true" : undefined} aria-describedby=${error ? "field-port-range-error" : undefined}
        autocomplete="off"
    onInput=${(event) => form.set({ [name]: event.target.value }, ["port_range", "port"])} />`;
  return html`
    <fieldset class="field">
      <legend class="label">First and last port</legend>
      <div class="with-unit">${input("first", "First port")}<span>to</span>${input("last", "Last port")}</div>
      <${Wrong} id="field-port-range" error=${error} />
      <p class="hint">Takes a server group with “any port”.</p>
    </fieldset>
  `;
}

const ADVANCED = [
  "idle_timeout",
  "handshake_timeout",
  "connect_timeout",
  "cps",
  "max_connections",
  "mss",
  "proxy_protocol",
  "accept_proxy_protocol",
  "alpn_policy",
  "alpn_strict",
];

function Advanced({ form }) {
  const tls = form.values.protocol === "TCPSSL";
  const wrong = ADVANCED.some((path) => form.errorAt(path));
  return html`
    <details class="more" open=${wrong || undefined}>
      <summary>Advanced settings</summary>
      <div class="stack">
        <div class="form-grid">
          <${NumberField} form=${form} name="idle_timeout" label="Idle timeout" unit="seconds"
              hint="1 to 900. A connection that is silent for so long in both directions is closed." />
          <${NumberField} form=${form} name="cps" label="New connections per second"
              hint="For this listener, over all workers. 0 is no limit." />
          <${NumberField} form=${form} name="max_connections" label="Connections at one time" hint="0 is no limit." />
          ${tls && html`<${NumberField} form=${form} name="handshake_timeout" label="Handshake timeout"
              unit="seconds" />`}
          <${NumberField} form=${form} name="connect_timeout" label="Connect timeout" unit="seconds"
              hint="For one server; then another one is tried." />
          <${NumberField} form=${form} name="mss" label="Largest TCP segment" unit="bytes"
              hint="0 leaves it to the system." />
        </div>
        ${tls && html`<${Alpn} form=${form} />`}
        <${Proxy} form=${form} tls=${tls} />
      </div>
    </details>
  `;
}

function Alpn({ form }) {
  return html`
    <div class="form-grid">
      <${SelectField} form=${form} name="alpn_policy" label="ALPN policy" options=${ALPN}
        hint="The first protocol of the list that the client offers is agreed on."
            onPick=${(policy) => form.set({ alpn_policy: policy }, ["alpn_policy", "alpn_strict"])} />
      ${form.values.alpn_policy && html`<${CheckField} form=${form} name="alpn_strict"
          label="Refuse clients that offer none of them" />`}
    </div>
  `;
}

function Proxy({ form, tls }) {
  const { values } = form;
  return html`
    <div class="section">
      <${CheckField} form=${form} name="proxy" path="proxy_protocol"
          label="Send servers a PROXY protocol header (version 2)"
        hint="Servers learn the client's address. They have to expect the header." />
      ${
        values.proxy &&
        html`
        <${ManyField} form=${form} name="tlvs" path="proxy_protocol.tlvs" label="With it"
            choices=${tls ? TLVS : TLVS.slice(-1)} />
        <div class="form-grid">
          ${[
            ["vpc_id", "VPC id"],
            ["ep_id", "Endpoint id"],
            ["eps_id", "Endpoint service id"],
          ].map(
            ([key, label]) =>
              html`<${TextField} form=${form} name=${key} path=${`proxy_protocol.${key}`} label=${label}
                  optional=${true} />`,
          )}
        </div>
      `
      }
      <${CheckField} form=${form} name="accept" path="accept_proxy_protocol"
          label="Take PROXY protocol headers from trusted networks"
        hint="For a load balancer in front of this one. Its connections have to begin with a header." />
      ${values.accept && html`<${TextField} form=${form} name="trusted" path="accept_proxy_protocol.trusted"
          label="Trusted networks" hint="Such as 10.0.0.0/8; several with a space between them." />`}
    </div>
  `;
}
