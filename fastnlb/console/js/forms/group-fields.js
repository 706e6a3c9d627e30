// The fields of a server group, for creating and editing.

import { html } from "../lib.js";
import { CheckField, ChoiceField, ManyField, NumberField, SelectField, TextField } from "./fields.js";
import { ServersField, TagsField } from "./rows.js";

const SCHEDULERS = [
  ["wrr", "wrr: in turn, by weight"],
  ["rr", "rr: in turn"],
  ["wlc", "wlc: fewest connections, by weight"],
  ["sch", "sch: same server for the same client address"],
  ["tch", "tch: same server for the same addresses and ports"],
];

const CHECKS = [
  { value: "TCP", title: "TCP", hint: "The connection is accepted." },
  { value: "HTTP", title: "HTTP", hint: "A request is answered." },
  { value: "off", title: "Off", hint: "Nobody checks; every server counts as well." },
];

const CODES = [
  ["http_2xx", "2xx"],
  ["http_3xx", "3xx"],
  ["http_4xx", "4xx"],
  ["http_5xx", "5xx"],
];
const pairs = (...words) => words.map((word) => [word, word]);

export function GroupFields({ form, editing }) {
  const { values } = form;
  return html`
    ${!editing && html`<${TextField} form=${form} name="name" label="Name"
        hint="How listeners refer to it: letters, digits and . _ -" />`}
    <${ServersField} form=${form} anyPort=${values.any_port} />
    <${SelectField} form=${form} name="scheduler" label="How a server is chosen" options=${SCHEDULERS} />
    <${HealthFields} form=${form} />
    <${More} form=${form} />
  `;
}

function HealthFields({ form }) {
  const { values } = form;
  const at = (key) => ({ form, name: key, path: `health_check.${key}` });
  return html`
    <div class="section">
      <${ChoiceField} form=${form} name="check" path="health_check.type" label="Health check" choices=${CHECKS}
          onPick=${(check) => form.set({ check }, ["health_check"])} />
      ${
        values.check === "HTTP" &&
        html`
        <div class="form-grid">
          <${TextField} ...${at("url")} label="Path" />
          <${TextField} ...${at("domain")} label="Host" optional=${true} hint="A name, or $SERVER_IP." />
          <${SelectField} ...${at("method")} label="Method" options=${pairs("GET", "HEAD")} />
          <${SelectField} ...${at("http_version")} label="Version" options=${pairs("HTTP1.0", "HTTP1.1")} />
        </div>
        <${ManyField} ...${at("http_codes")} label="Statuses that are well" choices=${CODES} />
      `
      }
      ${
        values.check !== "off" &&
        html`
        <details class="more" open=${Boolean(form.errorAt("health_check")) || values.any_port || undefined}>
          <summary>Port, times and thresholds</summary>
          <div class="form-grid">
            <${NumberField} ...${at("connect_port")} label="Port" hint="0 is the server's own." />
            <${NumberField} ...${at("interval")} label="Interval" unit="seconds" hint="1 to 50" />
            <${NumberField} ...${at("connect_timeout")} label="Timeout" unit="seconds" hint="1 to 300" />
            <${NumberField} ...${at("healthy_threshold")} label="Good probes to be healthy" hint="2 to 10" />
            <${NumberField} ...${at("unhealthy_threshold")} label="Bad probes to be unhealthy" hint="2 to 10" />
            <${CheckField} form=${form} name="probe_proxy" path="health_check.proxy_protocol"
                label="Begin with a PROXY protocol header" />
          </div>
        </details>
      `
      }
    </div>
  `;
}

function More({ form }) {
  const wrong = ["connection_drain_timeout", "preserve_client_ip", "any_port", "protocol"].some((path) =>
    form.errorAt(path),
  );
  return html`
    <details class="more" open=${wrong || form.values.any_port || undefined}>
      <summary>Advanced settings</summary>
      <div class="stack">
        <div class="form-grid">
          <${NumberField} form=${form} name="connection_drain_timeout" label="Drain timeout" unit="seconds"
              optional=${true}
            hint="0 to 900. Connections of a server that is out are ended after it; left empty they go on." />
          <${SelectField} form=${form} name="protocol" label="Protocol" options=${pairs("TCP", "TCP_UDP")} />
        </div>
        <${CheckField} form=${form} name="any_port" label="Any port"
            hint="For listeners on a range of ports: a server gets the port that the client came to. A health check needs a port of its own." />
        <${CheckField} form=${form} name="preserve_client_ip" label="Preserve the client's address"
            hint="Servers see the client's own address. For TCP listeners, and it needs routing." />
        <${TagsField} form=${form} />
      </div>
    </details>
  `;
}
