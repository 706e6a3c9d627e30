// All listeners: state, address, group, certificate, connections now.

import { endpoint, number } from "../format.js";
import { html, useState } from "../lib.js";
import { Expiry, Servers, State, Tags } from "../parts/bits.js";
import { ListPage } from "../parts/list-page.js";
import { to } from "../router.js";
import { QuickDialog } from "./quick.js";

const COLUMNS = [
  ["Name", ({ name, tags }) => html`<a href=${to("listeners", name)}>${name}</a><${Tags} tags=${tags} />`, "name"],
  ["State", ({ state }) => html`<${State} status=${state.status} />`],
  ["Protocol", ({ protocol }) => protocol],
  ["Listens on", (listener) => html`<code class="nowrap">${endpoint(listener)}</code>`],
  [
    "Server group",
    ({ server_group: group, state }) =>
      html`<span class="row"><a href=${to("server-groups", group)}>${group}</a> <${Servers}
          group=${state.server_group} /></span>`,
  ],
  ["Certificate expires", ({ state }) => html`<${Expiry} at=${state.certificate_expires} />`],
  ["Connections", ({ state }) => number(state.connections), "number"],
];

const EMPTY = {
  title: "No listener yet",
  text: "A listener accepts connections on an address and port, ends TLS with its certificate, and passes the bytes to the servers of a group.",
};

export function Listeners() {
  const [quick, setQuick] = useState(false);
  const actions = html`
    <button class="button" type="button" onClick=${() => setQuick(true)}>Quick creation …</button>
    <a class="button primary" href=${to("create", "listener")}>Create listener</a>
  `;
  return html`
    <${ListPage} kind="listeners" title="Listeners" text="What clients connect to." columns=${COLUMNS} empty=${EMPTY}
        actions=${actions} />
    ${quick && html`<${QuickDialog} onClose=${() => setQuick(false)} />`}
  `;
}
