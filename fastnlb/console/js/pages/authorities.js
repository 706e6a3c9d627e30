// CA certificates: the authorities that clients' certificates may come from.

import { dateTime, names } from "../format.js";
import { AuthorityDialog } from "../forms/authority-dialog.js";
import { html, useState } from "../lib.js";
import { Copyable, Expiry, Panel, Tags } from "../parts/bits.js";
import { Delete, Detail, Head, UsedBy, usedText } from "../parts/detail.js";
import { ListPage } from "../parts/list-page.js";
import { notice } from "../parts/overlay.js";
import { go, to } from "../router.js";

const COLUMNS = [
  [
    "Name",
    ({ name, tags }) => html`<a href=${to("ca-certificates", name)}>${name}</a><${Tags} tags=${tags} />`,
    "name",
  ],
  ["Subjects", ({ state }) => html`<span class="break">${names(state.subjects)}</span>`],
  ["Revocation", ({ crl_pem: crl }) => (crl ? "with lists" : "nobody is asked")],
  ["First expires", ({ state }) => html`<${Expiry} at=${state.not_after} />`],
  ["Used by", ({ state }) => html`<${UsedBy} items=${state.used_by} />`],
];

const EMPTY = {
  title: "No CA certificate yet",
  text: "With mutual authentication a listener lets in only clients with a certificate of an authority that stands here.",
};

export function Authorities() {
  const [open, setOpen] = useState(false);
  const actions = html`<button class="button primary" type="button"
      onClick=${() => setOpen(true)}>Add CA certificate …</button>`;
  const done = (made) => {
    notice(`The CA certificate ${made.name} is added.`);
    go("ca-certificates", made.name);
  };
  return html`
    <${ListPage} kind="ca-certificates" title="CA certificates"
        text="Authorities that clients' certificates may come from." columns=${COLUMNS} empty=${EMPTY}
            actions=${actions} />
    ${open && html`<${AuthorityDialog} onClose=${() => setOpen(false)} onDone=${done} />`}
  `;
}

export function Authority({ name }) {
  return html`<${Detail} kind="ca-certificates" name=${name}>${(authority, reload) => html`<${Page}
      authority=${authority} reload=${reload} />`}<//>`;
}

function Page({ authority, reload }) {
  const [open, setOpen] = useState(null);
  const { name, state } = authority;
  const done = () => {
    setOpen(null);
    notice(`The CA certificate ${name} is changed.`);
    reload();
  };
  return html`
    <${Head} kind="ca-certificates" list="CA certificates" name=${name} badge=${html`<${Tags}
        tags=${authority.tags} />`} text=${html`Used by <${UsedBy} items=${state.used_by} />`}>
      <button class="button" type="button" onClick=${() => setOpen(authority)}>Change …</button>
      <${Delete} kind="ca-certificates" resource=${authority}>
      <p>Its certificates and revocation lists are lost. ${usedText(state.used_by)}</p><//>
    <//>
    <${Panel} title="Authorities">
      <dl class="facts">
        <dt>Subjects</dt><dd>${state.subjects.map((each) => html`<div>${each}</div>`)}</dd>
        <dt>First expires</dt><dd><span class="row">${dateTime(state.not_after)} <${Expiry} at=${state.not_after} />
        </span></dd>
        <dt>Intermediates at most</dt><dd>${authority.verify_depth}</dd>
        <dt>Revocation lists</dt><dd>${authority.crl_pem ? "yes" : "none: nobody is asked"}</dd>
      </dl>
      <details class="more"><summary>PEM</summary><${Copyable} text=${authority.certificate_pem}
          label="CA certificates as PEM" /></details>
    <//>
    ${open && html`<${AuthorityDialog} replaces=${open} onClose=${() => setOpen(null)} onDone=${done} />`}
  `;
}
