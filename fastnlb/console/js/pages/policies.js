// TLS policies: the five of the system, and one's own.

import { plural } from "../format.js";
import { PolicyDialog } from "../forms/policy-dialog.js";
import { html, useState } from "../lib.js";
import { Badge, Panel, Tags } from "../parts/bits.js";
import { Delete, Detail, Head, UsedBy, usedText } from "../parts/detail.js";
import { ListPage } from "../parts/list-page.js";
import { notice } from "../parts/overlay.js";
import { go, to } from "../router.js";

const Kind = ({ system }) =>
  html`<${Badge} tone=${system ? "plain" : "info plain"}>${system ? "system" : "custom"}<//>`;

const COLUMNS = [
  [
    "Name",
    ({ name, tags }) => html`<a href=${to("security-policies", name)}>${name}</a><${Tags} tags=${tags} />`,
    "name",
  ],
  ["Kind", ({ state }) => html`<${Kind} system=${state.system} />`],
  ["TLS versions", ({ tls_versions: versions }) => versions.join(", ")],
  ["Ciphers", ({ ciphers }) => ciphers.length, "number"],
  ["Used by", ({ state }) => html`<${UsedBy} items=${state.used_by} />`],
];

const EMPTY = { title: "No TLS policy", text: "The policies of the system are missing." };

export function Policies() {
  const [open, setOpen] = useState(false);
  const actions = html`<button class="button primary" type="button"
      onClick=${() => setOpen(true)}>Create policy …</button>`;
  const done = (made) => {
    notice(`The policy ${made.name} is created.`);
    go("security-policies", made.name);
  };
  return html`
    <${ListPage} kind="security-policies" title="TLS policies"
        text="Versions of TLS and ciphers that a listener offers." columns=${COLUMNS} empty=${EMPTY}
            actions=${actions} />
    ${open && html`<${PolicyDialog} onClose=${() => setOpen(false)} onDone=${done} />`}
  `;
}

export function Policy({ name }) {
  return html`<${Detail} kind="security-policies" name=${name}>${(policy, reload) => html`<${Page} policy=${policy}
      reload=${reload} />`}<//>`;
}

function Page({ policy, reload }) {
  const [open, setOpen] = useState(null);
  const { state } = policy;
  const done = () => {
    setOpen(null);
    notice(`The policy ${policy.name} is changed.`);
    reload();
  };
  return html`
    <${Head} kind="security-policies" list="TLS policies" name=${policy.name} badge=${html`<${Kind}
        system=${state.system} /><${Tags} tags=${policy.tags} />`} text=${html`Used by <${UsedBy}
            items=${state.used_by} />`}>
      ${
        !state.system &&
        html`
        <button class="button" type="button" onClick=${() => setOpen(policy)}>Edit …</button>
        <${Delete} kind="security-policies" resource=${policy}>
        <p>Its list of versions and ciphers is lost. ${usedText(state.used_by)}</p><//>
      `
      }
    <//>
    <${Panel} title="Offered to clients">
      <dl class="facts">
        <dt>TLS versions</dt><dd>${policy.tls_versions.join(", ")}</dd>
        <dt>${plural(policy.ciphers.length, "cipher")}</dt><dd><ul
            class="ciphers">${policy.ciphers.map((each) => html`<li>${each}</li>`)}</ul></dd>
        <dt>Key exchange</dt><dd>${policy.groups?.length ? policy.groups.join(", ") : "as by default"}</dd>
      </dl>
    <//>
    ${open && html`<${PolicyDialog} replaces=${open} onClose=${() => setOpen(null)} onDone=${done} />`}
  `;
}
