// The daemon itself: workers, version, where its configuration comes from.

import { get, post } from "../api.js";
import { duration, number } from "../format.js";
import { html, useState } from "../lib.js";
import { Badge, Copyable, Loading, Panel } from "../parts/bits.js";
import { Confirm } from "../parts/confirm.js";
import { notice } from "../parts/overlay.js";
import { session } from "../session.js";
import { useStore } from "../store.js";

const MODES = { file: "a configuration file", store: "its own store", quick: "the command line" };

export function Status() {
  const { status } = useStore(session);
  if (!status) return html`<h1>Status</h1><${Loading} />`;
  const connections = status.workers.reduce((sum, each) => sum + (each.connections ?? 0), 0);
  return html`
    <div class="page-head">
      <div><h1>Status</h1>
      <p>fastnlb ${status.version}, configured by ${MODES[status.mode] ?? status.mode ?? "a file"}</p></div>
      ${status.mode === "file" && html`<div class="row"><${Reload} /></div>`}
    </div>
    <div class="tiles">
      <${Tile} label="Connections now">${number(connections)}<//>
      <${Tile} label="Listeners">${number(status.listeners.length)}<//>
      <${Tile} label="Server groups">${number(status.server_groups.length)}<//>
      <${Tile} label="Running for">${duration(status.age)}<//>
    </div>
    <${Panel} title="Workers" bare=${true}><${Workers} status=${status} /><//>
    <${Panel} title="Daemon">
      <dl class="facts">
        <dt>Process</dt><dd>${status.pid}</dd>
        <dt>Generation served</dt><dd>${number(status.generation)}</dd>
        ${status.revision !== null && status.revision !== undefined && html`<dt>Revision</dt><dd><a
            href="#/history">${number(status.revision)}</a></dd>`}
        <dt>Changes by this console</dt>
        <dd>${status.writable === false ? `no: ${status.read_only_reason ?? "read-only"}` : "yes"}</dd>
        ${status.caller && html`<dt>You are</dt><dd>${status.caller.name} (${status.caller.role})</dd>`}
      </dl>
    <//>
    <${Export} />
  `;
}

const Tile = ({ label, children }) =>
  html`<div class="tile"><p class="label">${label}</p><p class="value">${children}</p></div>`;

function Workers({ status }) {
  return html`<div class="table-wrap"><table class="cards" aria-label="Workers">
    <thead><tr><th scope="col">Worker</th><th scope="col">State</th><th scope="col" class="number">Process</th><th
        scope="col">For</th><th scope="col" class="number">Connections</th></tr></thead>
    <tbody>
      ${status.workers.map(
        ({ index, state, pid, age, connections }) => html`<tr key=${index}>
          <td class="name">${index}</td><td data-label="State"><${Badge}
              tone=${state === "serving" ? "good" : "warn"}>${state}<//></td>
          <td class="number" data-label="Process">${pid}</td><td data-label="For">${duration(age)}</td><td
              class="number" data-label="Connections">${number(connections)}</td>
        </tr>`,
      )}
    </tbody>
  </table></div>`;
}

function Reload() {
  const [asking, setAsking] = useState(false);
  const done = ({ lines }) => {
    setAsking(false);
    notice(lines.join("\n") || "Reloaded.");
  };
  return html`
    <button class="button" type="button" onClick=${() => setAsking(true)}>Reload …</button>
    ${
      asking &&
      html`<${Confirm} title="Read the configuration file again?" verb="Reload" danger=${false}
          act=${() => post("/reload")} onDone=${done} onClose=${() => setAsking(false)}>
      <p>What it says now is served. If it cannot be used, everything stays as it is and you are told why. No connection is dropped.</p>
    <//>`
    }
  `;
}

function Export() {
  const [text, setText] = useState(null);
  const [failure, setFailure] = useState("");
  const read = async () => {
    try {
      const { etag, ...document } = await get("/export");
      setText(JSON.stringify(document, null, 2));
      setFailure("");
    } catch (error) {
      setFailure(error.message);
    }
  };
  return html`<${Panel} title="Export" actions=${html`<button class="button little" type="button"
      onClick=${read}>Show</button>`}>
    <p class="muted">The whole desired state as one document, without private keys, as <code>fastnlb apply</code> takes it.</p>
    ${failure && html`<p class="wrong" role="alert">${failure}</p>`}
    ${text && html`<${Copyable} text=${text} label="desired state" />`}
  <//>`;
}
