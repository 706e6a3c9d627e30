// The last step: everything that was chosen, what will change, and the same as YAML and as commands.

import { at } from "../api.js";
import { curlOf, curlOfCertificate } from "../curl.js";
import { shown } from "../diff.js";
import { asked, endpoint, plural, serverName } from "../format.js";
import { describeAuthority, describeCertificate } from "../forms/certificate-fields.js";
import { STEP_FIELDS } from "../forms/listener-values.js";
import { GROUP_DEFAULTS, lean, LISTENER_DEFAULTS, same } from "../kinds.js";
import { html } from "../lib.js";
import { Badge, Copyable, Plan, Tags } from "../parts/bits.js";
import { useResource } from "../resource.js";
import { readOnlyReason } from "../session.js";
import { yamlOf } from "../yaml.js";

const LABELS = {
  idle_timeout: "Idle timeout",
  handshake_timeout: "Handshake timeout",
  connect_timeout: "Connect timeout",
  cps: "New connections per second",
  max_connections: "Connections at one time",
  mss: "Largest TCP segment",
  proxy_protocol: "PROXY protocol to servers",
  accept_proxy_protocol: "PROXY protocol from clients",
  alpn_policy: "ALPN policy",
  alpn_strict: "Refuse other protocols",
};
const UNITS = { idle_timeout: " s", handshake_timeout: " s", connect_timeout: " s", mss: " bytes" };
const ALWAYS = new Set(["idle_timeout", "cps"]);
const UNLIMITED = new Set(["cps", "max_connections"]);

const useOne = (kind, name) => useResource(name ? at(kind, name) : null).data;

export function Review({ listener, change, created, show }) {
  const tls = listener.protocol === "TCPSSL";
  const certificate = useOne("certificates", listener.certificate);
  const authority = useOne("ca-certificates", listener.ca_certificate);
  const policy = useOne("security-policies", tls ? listener.security_policy : null);
  const group = useOne("server-groups", listener.server_group);
  const parts = [
    ["certificates", certificate],
    ["ca-certificates", authority],
    ["security-policies", policy?.state?.system ? null : policy],
    ["server-groups", group],
    ["listeners", listener],
  ];
  const yaml = yamlOf(parts.filter(([, resource]) => resource).map(([kind, resource]) => ({ kind, resource })));
  const fresh = new Set(created.map(({ resource }) => resource.name));
  const named = (name) => html`${name}${fresh.has(name) && html` <${Badge} tone="info">just created<//>`}`;
  const readOnly = readOnlyReason();
  return html`
    <div class="columns">
      <${Section} title="Listener" edit=${() => show(0)}>
        <${Fact} term="Name"><strong>${listener.name}</strong><//>
        <${Fact} term="Protocol">${listener.protocol}<//>
        <${Fact} term="Listens on"><code>${endpoint(listener)}</code><//>
        ${Object.keys(listener.tags).length > 0 && html`<${Fact} term="Tags"><${Tags} tags=${listener.tags} /><//>`}
        ${STEP_FIELDS[0]
          .filter((key) => key in LABELS && (ALWAYS.has(key) || !same(listener[key], LISTENER_DEFAULTS[key])))
          .map((key) => html`<${Fact} term=${LABELS[key]}>${setting(key, listener[key])}<//>`)}
      <//>
      ${
        tls &&
        html`
          <${Section} title="Certificate" edit=${() => show(1)}>
            <${Fact} term="Server certificate">
              <strong>${named(listener.certificate)}</strong>
              <${Aside}>${certificate && describeCertificate(certificate)}<//>
            <//>
            ${
              listener.additional_certificates.length > 0 &&
              html`<${Fact}
                  term="Additional">${listener.additional_certificates.map((each) => html`<div>${named(each)}</div>`)}<//>`
            }
            ${listener.strict_sni && html`<${Fact} term="Other names">refused<//>`}
            <${Fact} term="Mutual authentication">
              ${listener.ca_certificate ? html`${asked(listener)}, by <strong>${named(listener.ca_certificate)}</strong>` : "off"}
              <${Aside}>${authority && describeAuthority(authority)}<//>
            <//>
            <${Fact} term="TLS policy">
              ${named(listener.security_policy)}
              <${Aside}>${policy && `${policy.tls_versions.join(", ")}, ${plural(policy.ciphers.length, "cipher")}`}<//>
            <//>
          <//>
        `
      }
      <${Section} title="Server group" edit=${() => show(2)}>
        <${Fact} term="Group"><strong>${named(listener.server_group)}</strong><//>
        ${group && html`<${Fact} term="Servers">${group.servers.length ? group.servers.map(weighted) : "none"}<//>`}
      <//>
    </div>
    <section class="section" aria-label="What will change">
      <h3>What will change</h3>
      ${change ? html`<${Plan} change=${change} />` : html`<p
          class="muted">${readOnly || "The daemon has not said it."}</p>`}
    </section>
    <section class="section" aria-label="As YAML">
      <h3>${readOnly ? "The YAML to write" : "The same in fastnlb.yaml"}</h3>
      ${readOnly && html`<p>Write this into the configuration file, then run <code>fastnlb reload</code>.</p>`}
      <${Copyable} text=${yaml} label="YAML" />
    </section>
    <section class="section" aria-label="As commands">
      <h3>The same with curl</h3>
      <${Copyable} text=${commands(listener, created)} label="curl commands" />
    </section>
  `;
}

const setting = (key, value) =>
  UNLIMITED.has(key) && value === 0 ? "no limit" : `${shown(value)}${UNITS[key] ?? ""}`;

const weighted = (server) => html`
  <div><code>${serverName(server)}</code> <span class="muted small">weight ${server.weight}</span></div>
`;

/** What is told below a name. */
const Aside = ({ children }) => (children ? html`<div class="muted small">${children}</div>` : null);

const Fact = ({ term, children }) => html`<dt>${term}</dt><dd>${children}</dd>`;

const Section = ({ title, edit, children }) => html`
  <section class="stack tight" aria-label=${title}>
    <div class="row spread"><h3>${title}</h3><button class="button quiet little" type="button"
        aria-label=${`Edit: ${title}`} onClick=${edit}>Edit</button></div>
    <dl class="facts">${children}</dl>
  </section>
`;

/** What was done on the way, and the listener. */
function commands(listener, created) {
  const before = created.map(({ kind, resource, sent }) => {
    if (kind === "certificates" && !sent.self_signed) return curlOfCertificate(resource.name);
    return curlOf("POST", `/${kind}`, kind === "server-groups" ? lean(sent, GROUP_DEFAULTS) : sent);
  });
  const said = Object.entries(listener).filter(([key, value]) => !same(value, LISTENER_DEFAULTS[key] ?? null));
  return [...before, curlOf("POST", "/listeners", Object.fromEntries(said))].join("\n\n");
}
