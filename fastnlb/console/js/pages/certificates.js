// Certificates: names, issuer, expiry, what uses them, renewal in place.

import { dateTime, names } from "../format.js";
import { CertificateDialog } from "../forms/certificate-dialog.js";
import { html, useState } from "../lib.js";
import { Badge, Copyable, Expiry, Panel, Tags } from "../parts/bits.js";
import { Delete, Detail, Head, UsedBy, usedText } from "../parts/detail.js";
import { ListPage } from "../parts/list-page.js";
import { notice } from "../parts/overlay.js";
import { go, to } from "../router.js";

const COLUMNS = [
  ["Name", ({ name, tags }) => html`<a href=${to("certificates", name)}>${name}</a><${Tags} tags=${tags} />`, "name"],
  ["For", ({ state }) => html`<span class="break">${names(state.names)}</span>`],
  ["Issuer", ({ state }) => (state.self_signed ? html`<${Badge} tone="warn plain">self-signed<//>` : state.issuer)],
  ["Key", ({ state }) => state.key_type],
  ["Expires", ({ state }) => html`<${Expiry} at=${state.not_after} />`],
  ["Used by", ({ state }) => html`<${UsedBy} items=${state.used_by} />`],
];

const EMPTY = {
  title: "No certificate yet",
  text: "A TCPSSL listener shows its clients a certificate. Upload one with its key, or have a self-signed one made to try with.",
};

export function Certificates() {
  const [open, setOpen] = useState(false);
  const actions = html`<button class="button primary" type="button"
      onClick=${() => setOpen(true)}>Create certificate …</button>`;
  const done = (made) => {
    notice(`The certificate ${made.name} is stored.`);
    go("certificates", made.name);
  };
  return html`
    <${ListPage} kind="certificates" title="Certificates"
        text="What TCPSSL listeners show their clients. Private keys are never shown." columns=${COLUMNS}
            empty=${EMPTY} actions=${actions} />
    ${open && html`<${CertificateDialog} onClose=${() => setOpen(false)} onDone=${done} />`}
  `;
}

export function Certificate({ name }) {
  return html`<${Detail} kind="certificates" name=${name}>${(certificate, reload) => html`<${Page}
      certificate=${certificate} reload=${reload} />`}<//>`;
}

function Page({ certificate, reload }) {
  const [open, setOpen] = useState(null);
  const { name, state } = certificate;
  const done = () => {
    setOpen(null);
    notice(`The certificate ${name} is replaced.`);
    reload();
  };
  return html`
    <${Head} kind="certificates" list="Certificates" name=${name} text=${html`Used by <${UsedBy}
        items=${state.used_by} />`}
      badge=${html`${state.self_signed && html`<${Badge} tone="warn plain">self-signed<//>`}<${Tags}
          tags=${certificate.tags} />`}>
      <button class="button" type="button" onClick=${() => setOpen(certificate)}>Replace …</button>
      <${Delete} kind="certificates" resource=${certificate}>
      <p>The certificate and its private key are lost: the daemon is the only place in fastnlb that has them. ${usedText(state.used_by)}</p><//>
    <//>
    <${Panel} title="Certificate">
      <dl class="facts">
        <dt>Names</dt><dd>${names(state.names)}</dd>
        <dt>Subject</dt><dd>${state.subject}</dd>
        <dt>Issuer</dt><dd>${state.issuer}</dd>
        <dt>Valid from</dt><dd>${dateTime(state.not_before)}</dd>
        <dt>Valid until</dt><dd><span class="row">${dateTime(state.not_after)} <${Expiry} at=${state.not_after} />
        </span></dd>
        <dt>Key</dt><dd>${state.key_type}</dd>
        <dt>Serial number</dt><dd><code>${state.serial}</code></dd>
        <dt>SHA-256</dt><dd><code>${state.fingerprint_sha256}</code></dd>
        <dt>OCSP response stapled</dt><dd>${state.stapled ? "yes" : "no"}</dd>
      </dl>
      <details class="more"><summary>PEM</summary><${Copyable} text=${certificate.certificate_pem}
          label="certificate as PEM" /></details>
    <//>
    ${open && html`<${CertificateDialog} replaces=${open} onClose=${() => setOpen(null)} onDone=${done} />`}
  `;
}
