// One listener: how it is, what passes through it now, its servers, its settings.

import { at, patch, post } from "../api.js";
import { shown } from "../diff.js";
import { asked, endpoint, names, number, plural } from "../format.js";
import { LISTENER_DEFAULTS, same } from "../kinds.js";
import { html, useState } from "../lib.js";
import { Copyable, Expiry, Panel, Servers, State, Tags } from "../parts/bits.js";
import { Confirm } from "../parts/confirm.js";
import { Delete, Detail, Head } from "../parts/detail.js";
import { notice } from "../parts/overlay.js";
import { ServersTable } from "../parts/servers-table.js";
import { shownInstead } from "../parts/writing.js";
import { to } from "../router.js";
import { LIVE, useResource } from "../resource.js";
import { Charts } from "./listener-charts.js";

const EVERY_SECONDS = 2;
const ELSEWHERE = [
  "protocol",
  "address",
  "port",
  "port_range",
  "server_group",
  "certificate",
  "additional_certificates",
  "ca_certificate",
  "client_certificate",
  "security_policy",
  "tags",
  "enabled",
];

export function Listener({ name }) {
  return html`<${Detail} kind="listeners" name=${name} every=${EVERY_SECONDS}>${(listener, reload) => html`<${Page}
      listener=${listener} reload=${reload} />`}<//>`;
}

function Page({ listener, reload }) {
  const { name, protocol, state } = listener;
  return html`
    <${Head} kind="listeners" list="Listeners" name=${name} badge=${html`<${State} status=${state.status} /><${Tags}
        tags=${listener.tags} />`}
      text=${html`${protocol} on <code>${endpoint(listener)}</code>, to <a
          href=${to("server-groups", listener.server_group)}>${listener.server_group}</a>`}>
      <${Switch} listener=${listener} reload=${reload} />
      <a class="button" href=${to("listeners", name, "edit")}>Edit</a>
      <${Delete} kind="listeners" resource=${listener}><${Lost} listener=${listener} what="deleted" /><//>
    <//>
    <div class="tiles">
      <${Tile} label="Connections now">${number(state.connections)}<//>
      <${Tile} label="Servers"><${Servers} group=${state.server_group} /><//>
      ${protocol === "TCPSSL" && html`<${Tile} label="Certificate expires"><span class="small"><${Expiry}
          at=${state.certificate_expires} /></span><//>`}
    </div>
    <${Charts} listener=${listener} />
    <${Group} name=${listener.server_group} />
    <div class="columns">
      ${protocol === "TCPSSL" && html`<${Tls} listener=${listener} reload=${reload} />`}
      <${Settings} listener=${listener} />
      <${TryIt} listener=${listener} />
    </div>
  `;
}

const Tile = ({ label, children }) =>
  html`<div class="tile"><p class="label">${label}</p><p class="value">${children}</p></div>`;

/** Says what stopping or deleting takes away. */
function Lost({ listener, what }) {
  const { connections } = listener.state;
  const kept = [`server group ${listener.server_group}`, listener.certificate && `certificate ${listener.certificate}`];
  return html`
    <p>No new client is accepted on <code>${endpoint(listener)}</code> once it is ${what}.</p>
    <p>${connections ? `${plural(connections, "connection")} open now will go on until they end.` : "No connection is open now."}</p>
    ${what === "deleted" && html`<p>Its settings are lost. What stays: ${names(kept.filter(Boolean))}.</p>`}
  `;
}

function Switch({ listener, reload }) {
  const [asking, setAsking] = useState(false);
  const running = listener.state.status === "Running";
  const path = at("listeners", listener.name, running ? "stop" : "start");
  const press = () => shownInstead("listeners", { ...listener, enabled: !running }) || setAsking(true);
  const done = () => {
    setAsking(false);
    notice(`The listener ${listener.name} is ${running ? "stopped" : "started"}.`);
    reload();
  };
  return html`
    <button class="button" type="button" onClick=${press}>${running ? "Stop …" : "Start …"}</button>
    ${
      asking &&
      html`<${Confirm} title=${`${running ? "Stop" : "Start"} ${listener.name}?`} verb=${running ? "Stop" : "Start"}
          danger=${running} plan=${() => post(path, undefined, { dryRun: true })}
      act=${() => post(path)} onDone=${done} onClose=${() => setAsking(false)}>
      ${running ? html`<${Lost} listener=${listener}
          what="stopped" />` : html`<p>Clients are accepted on <code>${endpoint(listener)}</code> again.</p>`}
    <//>`
    }
  `;
}

function Group({ name }) {
  const { data, reload } = useResource(at("server-groups", name), LIVE);
  if (!data) return null;
  return html`<${Panel} title=${`Servers of ${name}`} bare=${true}><${ServersTable} group=${data} reload=${reload} />
  <//>`;
}

function Tls({ listener, reload }) {
  const { certificate, additional_certificates: more, ca_certificate: ca, security_policy: policy } = listener;
  return html`
    <${Panel} title="TLS">
      <dl class="facts">
        <dt>Certificate</dt><dd><a href=${to("certificates", certificate)}>${certificate}</a></dd>
        <dt>Additional</dt><dd>${more.length ? more.map((each, index) => html`${index > 0 && ", "}<a
            href=${to("certificates", each)}>${each}</a>`) : "none"}</dd>
        <dt>Policy</dt><dd><a href=${to("security-policies", policy)}>${policy}</a></dd>
        <dt>Mutual authentication</dt>
        <dd>${ca ? html`<span class="row">${asked(listener)}, by <a
            href=${to("ca-certificates", ca)}>${ca}</a> <${MutualOff} listener=${listener} reload=${reload} />
            </span>` : "off"}</dd>
      </dl>
    <//>
  `;
}

function MutualOff({ listener, reload }) {
  const [asking, setAsking] = useState(false);
  const path = at("listeners", listener.name);
  const off = { ca_certificate: null, client_certificate: null };
  const press = () => shownInstead("listeners", { ...listener, ...off }) || setAsking(true);
  const done = () => {
    setAsking(false);
    notice("Mutual authentication is off.");
    reload();
  };
  return html`
    <button class="button little" type="button" onClick=${press}>Switch off …</button>
    ${
      asking &&
      html`<${Confirm} title="Switch mutual authentication off?" verb="Switch off"
          plan=${() => patch(path, off, { dryRun: true, ifMatch: listener.etag })}
              act=${() => patch(path, off, { ifMatch: listener.etag })}
      onDone=${done} onClose=${() => setAsking(false)}>
      <p>Clients of <strong>${listener.name}</strong> will come in without a certificate of <strong>${listener.ca_certificate}</strong>.</p><//>`
    }
  `;
}

function Settings({ listener }) {
  const rows = Object.keys(LISTENER_DEFAULTS).filter(
    (key) => !ELSEWHERE.includes(key) && (key === "idle_timeout" || !same(listener[key], LISTENER_DEFAULTS[key])),
  );
  return html`<${Panel} title="Settings">
    <dl class="facts">${rows.map((key) => html`<dt><code>${key}</code></dt><dd>${shown(listener[key])}</dd>`)}</dl>
    <p class="muted small">Everything else is as by default.</p>
  <//>`;
}

const ANYWHERE = { "0.0.0.0": "127.0.0.1", "::": "[::1]" };

function TryIt({ listener }) {
  const { address, protocol } = listener;
  const host = ANYWHERE[address] ?? (address.includes(":") ? `[${address}]` : address);
  const port = listener.port ?? listener.port_range[0];
  const client = listener.ca_certificate ? " --cert client.pem --key client.key" : "";
  const text =
    protocol === "TCPSSL" ? `curl -k${client} https://${host}:${port}/` : `nc ${host.replace(/[[\]]/g, "")} ${port}`;
  return html`<${Panel} title="See it work"><p
      class="muted">From this machine, if the servers speak ${protocol === "TCPSSL" ? "HTTP" : "your protocol"}:</p>
      <${Copyable} text=${text} label="command to try it" /><//>`;
}
