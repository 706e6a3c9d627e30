// Server groups: their servers, health and weights.

import { at, post } from "../api.js";
import { differences } from "../diff.js";
import { plural } from "../format.js";
import { FormErrors, NumberField, TextField } from "../forms/fields.js";
import { useForm, useGuard, useSending, wholeNumber } from "../forms/form.js";
import { GroupDialog } from "../forms/group-dialog.js";
import { GroupFields } from "../forms/group-fields.js";
import { fromGroup, toGroup } from "../forms/group-values.js";
import { html, useState } from "../lib.js";
import { Badge, Panel, Servers, Tags } from "../parts/bits.js";
import { Conflict } from "../parts/conflict.js";
import { Delete, Detail, Head, UsedBy, usedText } from "../parts/detail.js";
import { Dialog } from "../parts/dialog.js";
import { useEditing } from "../parts/editing.js";
import { ListPage } from "../parts/list-page.js";
import { notice } from "../parts/overlay.js";
import { shownInstead } from "../parts/writing.js";
import { ServersTable } from "../parts/servers-table.js";
import { go, to } from "../router.js";
import { readOnlyReason } from "../session.js";

const COLUMNS = [
  [
    "Name",
    ({ name, tags }) => html`<a href=${to("server-groups", name)}>${name}</a><${Tags} tags=${tags} />`,
    "name",
  ],
  ["Servers", ({ state }) => html`<${Servers} group=${counted(state)} />`],
  ["Chosen by", ({ scheduler }) => scheduler],
  ["Health check", (group) => checkOf(group)],
  ["Used by", ({ state }) => html`<${UsedBy} items=${state.used_by} />`],
];

const EMPTY = {
  title: "No server group yet",
  text: "A server group is what listeners pass connections to: servers, how one is chosen, and how it is found out whether they are well.",
};

function counted({ servers = [] }) {
  const of = (...kinds) => servers.filter(({ health }) => kinds.includes(health)).length;
  return { healthy: of("HEALTHY", "UNAVAILABLE"), unhealthy: of("UNHEALTHY"), total: servers.length };
}

function checkOf({ health_check: check }) {
  if (!check.enabled) return "off";
  return `${check.type}${check.type === "HTTP" ? ` ${check.url}` : ""}, every ${check.interval} s`;
}

export function Groups() {
  const [open, setOpen] = useState(false);
  const actions = html`<button class="button primary" type="button"
      onClick=${() => setOpen(true)}>Create server group …</button>`;
  const done = (group) => {
    notice(`The server group ${group.name} is created.`);
    go("server-groups", group.name);
  };
  return html`
    <${ListPage} kind="server-groups" title="Server groups" text="What listeners pass connections to."
        columns=${COLUMNS} empty=${EMPTY} actions=${actions} />
    ${open && html`<${GroupDialog} onClose=${() => setOpen(false)} onDone=${done} />`}
  `;
}

export function Group({ name }) {
  return html`<${Detail} kind="server-groups" name=${name}>${(group, reload) => html`<${Page} group=${group}
      reload=${reload} />`}<//>`;
}

function Page({ group, reload }) {
  const [open, setOpen] = useState(null);
  const close = () => setOpen(null);
  return html`
    <${Head} kind="server-groups" list="Server groups" name=${group.name} text=${html`Used by <${UsedBy}
        items=${group.state.used_by} />`}
      badge=${html`<${Servers} group=${counted(group.state)} />${group.any_port && html`<${Badge}
          tone="plain">any port<//>`}<${Tags} tags=${group.tags} />`}>
      <button class="button" type="button" onClick=${() => setOpen("edit")}>Edit …</button>
      <${Delete} kind="server-groups" resource=${group}>
      <p>${plural(group.servers.length, "server")} and the settings of the group are lost. ${usedText(group.state.used_by)}</p><//>
    <//>
    <${Panel} title="Servers" bare=${true} actions=${html`<button class="button little" type="button"
        onClick=${() => setOpen("server")}>Add a server …</button>`}>
      <${ServersTable} group=${group} reload=${reload} removing=${true} />
    <//>
    <${Panel} title="Settings">
      <dl class="facts">
        <dt>Chosen by</dt><dd>${group.scheduler}</dd>
        <dt>Health check</dt><dd>${checkOf(group)}</dd>
        <dt>Drain timeout</dt>
        <dd>${group.connection_drain_timeout === null ? "none: connections go on until they end" : `${group.connection_drain_timeout} s`}</dd>
        <dt>Protocol</dt><dd>${group.protocol}</dd>
        <dt>Client's address preserved</dt><dd>${group.preserve_client_ip ? "yes" : "no"}</dd>
      </dl>
    <//>
    ${open === "edit" && html`<${Edit} read=${group} onClose=${close} onSaved=${() => (close(), reload())} />`}
    ${open === "server" && html`<${AddServer} group=${group} onClose=${close} onDone=${() => (close(), reload())} />`}
  `;
}

const plain = (group) => toGroup(fromGroup(group));

function Edit({ read, onClose, onSaved }) {
  const form = useForm(fromGroup(read));
  const sending = useSending(form);
  useGuard(form.dirty);
  const { base, conflict, save, take, reapply, dismiss } = useEditing({
    kind: "server-groups",
    read,
    plain,
    mine: () => toGroup(form.values),
    sending,
    onTaken: (theirs) => form.reset(fromGroup(theirs)),
    onSaved: (saved) => {
      notice(`The server group ${saved.name} is changed.`);
      onSaved();
    },
  });
  const foot = html`
    <button class="button" type="button" onClick=${onClose}>Cancel</button>
    <button class="button primary" type="submit"
        disabled=${sending.busy || !differences(plain(base), toGroup(form.values)).length}>${readOnlyReason() ? "Show the YAML" : "Save"}</button>
  `;
  return html`
    <${Dialog} title=${`Edit ${read.name}`} onClose=${onClose} onSubmit=${save} foot=${foot}>
      <${FormErrors} form=${form} failure=${sending.failure} />
      <${GroupFields} form=${form} editing=${true} />
    <//>
    ${conflict && html`<${Conflict} ...${conflict} onTake=${take} onReapply=${reapply} onClose=${dismiss} />`}
  `;
}

function AddServer({ group, onClose, onDone }) {
  const form = useForm({ address: "", port: "", weight: "100" });
  const { busy, failure, run, keyFor } = useSending(form);
  const { address, port, weight } = form.values;
  const submit = () =>
    run(async () => {
      const body = {
        address: address.trim(),
        weight: wholeNumber(weight) ?? 100,
        ...(wholeNumber(port) === undefined ? {} : { port: wholeNumber(port) }),
      };
      if (shownInstead("server-groups", { ...group, servers: [...group.servers, body] })) return;
      await post(at("server-groups", group.name, "servers"), body, { key: keyFor(body) });
      notice(`${body.address} is added.`);
      onDone();
    });
  const foot = html`
    <button class="button" type="button" onClick=${onClose}>Cancel</button>
    <button class="button primary" type="submit" disabled=${busy}>Add</button>
  `;
  return html`
    <${Dialog} title=${`Add a server to ${group.name}`} onClose=${onClose} onSubmit=${submit} foot=${foot}
        narrow=${true}>
      <${FormErrors} form=${form} failure=${failure} />
      <${TextField} form=${form} name="address" label="Address" hint="An address, a host name or unix:/path." />
      ${!group.any_port && html`<${NumberField} form=${form} name="port" label="Port" />`}
      <${NumberField} form=${form} name="weight" label="Weight" hint="0 to 100; 0 gives it no new connections." />
    <//>
  `;
}
