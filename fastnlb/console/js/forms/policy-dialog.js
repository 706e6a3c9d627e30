// A TLS policy of one's own: versions, and of the ciphers that the system policies have those that go with them.

import { html, useMemo } from "../lib.js";
import { useAll } from "../resource.js";
import { ManyField, TextField } from "./fields.js";
import { present, useForm, words } from "./form.js";
import { ResourceDialog } from "./resource-dialog.js";
import { TagsField, tagRows, tagsOf } from "./rows.js";

const VERSIONS = ["TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
const START_VERSIONS = ["TLSv1.2", "TLSv1.3"];
const WITH_13 = /^TLS_/;
const BEFORE_12 = /(-SHA|DES-CBC3-SHA)$/;

export function PolicyDialog({ replaces = null, onClose, onDone }) {
  const { items } = useAll("security-policies");
  const form = useForm({
    name: "",
    tls_versions: replaces?.tls_versions ?? START_VERSIONS,
    ciphers: replaces?.ciphers ?? [],
    groups: (replaces?.groups ?? []).join(" "),
    tags: tagRows(replaces?.tags),
  });
  const known = useMemo(() => knownCiphers(items ?? [], replaces?.ciphers ?? []), [items]);
  const usable = known.filter((cipher) => form.values.tls_versions.some((version) => goes(cipher, version)));
  return html`
    <${ResourceDialog} kind="security-policies" title=${replaces ? `Change ${replaces.name}` : "Create a TLS policy"}
        verb=${replaces ? "Save" : "Create"}
        form=${form} body=${() => bodyOf(form.values, usable, replaces)} replaces=${replaces} onClose=${onClose}
            onDone=${onDone}>
      ${!replaces && html`<${TextField} form=${form} name="name" label="Name" hint="Letters, digits and . _ -" />`}
      <${ManyField} form=${form} name="tls_versions" label="TLS versions"
          choices=${VERSIONS.map((each) => [each, each])} />
      <div class="row">
        <button class="button little" type="button"
            onClick=${() => form.set({ ciphers: usable.filter(modern) })}>Only forward secret AEAD ciphers</button>
        <button class="button little" type="button"
            onClick=${() => form.set({ ciphers: usable })}>All that go with them</button>
      </div>
      <${ManyField} form=${form} name="ciphers" label="Ciphers" mono=${true} hint="In the order the server prefers."
          choices=${usable.map((each) => [each, each])} />
      <${TextField} form=${form} name="groups" label="Groups of the key exchange" optional=${true} wide=${true}
          placeholder="X25519MLKEM768 X25519 P-256"
        hint="In order of preference, with a space between them. Left empty: those of the system policies." />
      <${TagsField} form=${form} />
    <//>
  `;
}

const modern = (cipher) => (WITH_13.test(cipher) ? !cipher.includes("CCM") : /^ECDHE-.*GCM/.test(cipher));

/** All ciphers that some policy names, in the order in which they come up. */
function knownCiphers(policies, own) {
  const longest = policies
    .filter(({ state }) => state?.system)
    .sort((left, right) => right.ciphers.length - left.ciphers.length);
  return [...new Set([...own, ...longest.flatMap(({ ciphers }) => ciphers)])];
}

function goes(cipher, version) {
  if (WITH_13.test(cipher)) return version === "TLSv1.3";
  return version === "TLSv1.2" || (version !== "TLSv1.3" && BEFORE_12.test(cipher));
}

function bodyOf({ name, tls_versions: versions, ciphers, groups, tags }, usable, replaces) {
  return present({
    name: replaces ? undefined : name.trim(),
    tls_versions: versions,
    ciphers: ciphers.filter((each) => usable.includes(each)),
    groups: words(groups),
    tags: tagsOf(tags),
  });
}
