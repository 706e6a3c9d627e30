// Which server group: the wizard's third step.  One that the listener cannot have says why.

import { at } from "../api.js";
import { plural, serverName } from "../format.js";
import { html, useState } from "../lib.js";
import { Health } from "../parts/bits.js";
import { LIVE, useResource } from "../resource.js";
import { GroupDialog } from "./group-dialog.js";
import { Picker } from "./picker.js";

const describeGroup = ({ scheduler, servers, any_port: any }) =>
  [
    plural(servers.length, "server"),
    servers.slice(0, 3).map(serverName).join(", ") + (servers.length > 3 ? ", …" : ""),
    scheduler,
    any && "any port",
  ]
    .filter(Boolean)
    .join(" · ");

/** Why a listener cannot have a group, or "". */
function misfit({ any_port: any, preserve_client_ip: preserve }, { protocol, ports }) {
  if (ports === "range" && !any) return "A range of ports needs a group with “any port”.";
  if (ports === "one" && any) return "A group with “any port” is for ranges of ports.";
  if (protocol === "TCPSSL" && preserve) return "A TCPSSL listener cannot preserve client addresses.";
  return "";
}

export function GroupChoice({ form, onCreated = () => {} }) {
  const [open, setOpen] = useState(false);
  const { values } = form;
  const made = (group, sent) => {
    setOpen(false);
    onCreated("server-groups", group, sent);
    form.set({ server_group: group.name });
  };
  return html`
    <div class="stack">
      <${Picker} form=${form} name="server_group" kind="server-groups" label="Server group" describe=${describeGroup}
          none="There is no server group yet."
        usable=${(group) => misfit(group, values)}
        actions=${html`<button class="button" type="button"
            onClick=${() => setOpen(true)}>Create a server group …</button>`} />
      <${ServersShown} name=${values.server_group} />
    </div>
    ${open && html`<${GroupDialog} start=${values.ports === "range" ? { any_port: true } : {}}
        onClose=${() => setOpen(false)} onDone=${made} />`}
  `;
}

function ServersShown({ name }) {
  const { data } = useResource(name ? at("server-groups", name) : null, LIVE);
  const servers = data?.state?.servers ?? [];
  if (!data) return null;
  if (!servers.length)
    return html`<p class="banner warn">The group ${name} has no servers: clients will be refused.</p>`;
  return html`
    <div class="table-wrap">
      <table class="cards">
        <caption>Servers of ${name}</caption>
        <thead><tr><th scope="col">Server</th><th scope="col">Weight</th><th scope="col">Health</th></tr></thead>
        <tbody>
          ${servers.map(
            (server) => html`<tr key=${serverName(server)}>
              <td class="name">${serverName(server)}</td><td data-label="Weight">${server.weight}</td><td
                  data-label="Health"><${Health} ...${server} /></td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  `;
}
