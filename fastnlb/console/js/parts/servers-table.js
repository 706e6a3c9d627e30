// The servers of a group: health with its reason, weight, draining.

import { at, patch, remove } from "../api.js";
import { number, serverName } from "../format.js";
import { html, useState } from "../lib.js";
import { Empty, Health } from "./bits.js";
import { Confirm } from "./confirm.js";
import { notice } from "./overlay.js";
import { shownInstead } from "./writing.js";

const FULL = 100;

export function ServersTable({ group, reload, removing = false }) {
  const rows = group.state?.servers ?? [];
  if (!rows.length)
    return html`<${Empty} title="No servers"
        text="Clients of listeners with this group are refused until it has one." />`;
  return html`
    <div class="table-wrap">
      <table class="cards" aria-label=${`Servers of ${group.name}`}>
        <thead><tr><th scope="col">Server</th><th scope="col">Health</th><th scope="col"
            class="number">Connections</th><th scope="col">Weight</th><th scope="col"><span
                class="unseen">Actions</span></th></tr></thead>
        <tbody>${rows.map((server) => html`<${Row} key=${serverName(server)} group=${group} server=${server}
            reload=${reload} removing=${removing} />`)}</tbody>
      </table>
    </div>
  `;
}

/** Servers found under a host name are changed by that name. */
function entryOf(group, server) {
  const address = server.host || server.address;
  return (
    group.servers.find((each) => each.address === address && (each.port ?? null) === (server.port || null)) ?? {
      ...server,
      address,
    }
  );
}

function Row({ group, server, reload, removing }) {
  const entry = entryOf(group, server);
  const name = serverName(entry);
  const path = at("server-groups", group.name, "servers", name);
  const [asking, setAsking] = useState(null);
  const groupWith = (change) => {
    const servers = group.servers.flatMap((each) =>
      serverName(each) === name ? (change ? [{ ...each, ...change }] : []) : [each],
    );
    return { ...group, servers };
  };
  const begin = (what, change) => shownInstead("server-groups", groupWith(change)) || setAsking(what);
  async function weigh(weight) {
    if (shownInstead("server-groups", groupWith({ weight }))) return undefined;
    try {
      await patch(path, { weight });
      notice(`${name} has weight ${weight}.`);
    } catch (error) {
      notice(error.errors?.[0]?.message ?? error.message, "bad");
    }
    return reload();
  }
  const done = (text) => () => {
    setAsking(null);
    notice(text);
    reload();
  };
  return html`
    <tr>
      <td class="name"><code class="nowrap">${serverName(server)}</code>${server.host && html`<br /><span
          class="muted small">${server.host}</span>`}</td>
      <td data-label="Health"><${Health} ...${server} /></td>
      <td class="number" data-label="Connections">${number(server.connections)}</td>
      <td data-label="Weight"><${Weight} name=${name} weight=${server.weight} weigh=${weigh} /></td>
      <td class="actions">
        ${
          server.weight === 0
            ? html`<button class="button little" type="button" aria-label=${`Resume ${name}`}
                onClick=${() => weigh(FULL)}>Resume</button>`
            : html`<button class="button little" type="button" aria-label=${`Drain ${name}`}
                onClick=${() => begin("drain", { weight: 0 })}>Drain …</button>`
        }
        ${removing && html` <button class="button little danger" type="button" aria-label=${`Remove ${name}`}
            onClick=${() => begin("remove", null)}>Remove …</button>`}
        ${
          asking === "drain" &&
          html`<${Confirm} title=${`Drain ${name}?`} verb="Drain" danger=${false} onClose=${() => setAsking(null)}
              onDone=${done(`${name} is being drained.`)}
          plan=${() => patch(path, { weight: 0 }, { dryRun: true })} act=${() => patch(path, { weight: 0 })}>
          <p>It gets no new connections. ${draining(group, server)}</p><//>`
        }
        ${
          asking === "remove" &&
          html`<${Confirm} title=${`Remove ${name}?`} verb="Remove" onClose=${() => setAsking(null)}
              onDone=${done(`${name} is removed.`)}
          plan=${() => remove(path, { dryRun: true })} act=${() => remove(path)}>
          <p>${name} is taken out of ${group.name}. ${draining(group, server)}</p><//>`
        }
      </td>
    </tr>
  `;
}

function draining({ connection_drain_timeout: timeout }, { connections }) {
  if (!connections) return "It has no connection now.";
  const until = timeout === null || timeout === undefined ? "until they end" : `for ${timeout} s at most`;
  return `Its connections (${number(connections)}) go on ${until}.`;
}

function Weight({ name, weight, weigh }) {
  const [typed, setTyped] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    await weigh(/^\d+$/.test(typed.trim()) ? Number(typed) : typed);
    setTyped(null);
  };
  return html`
    <form class="weight-form" onSubmit=${submit} noValidate>
      <input class="input" inputmode="numeric" aria-label=${`Weight of ${name}`} value=${typed ?? String(weight)}
          autocomplete="off"
        onInput=${(event) => setTyped(event.target.value)}
            onKeyDown=${(event) => event.key === "Escape" && setTyped(null)} />
      ${typed !== null && typed !== String(weight) && html`<button class="button little primary" type="submit"
          aria-label=${`Set the weight of ${name}`}>Set</button>`}
    </form>
  `;
}
