// Which page is at which address.

import { html } from "../lib.js";
import { Wizard } from "../wizard/wizard.js";
import { Certificate, Certificates } from "./certificates.js";
import { Authorities, Authority } from "./authorities.js";
import { Group, Groups } from "./groups.js";
import { History, Revision } from "./history.js";
import { Listener } from "./listener.js";
import { EditListener } from "./listener-edit.js";
import { Listeners } from "./listeners.js";
import { Policies, Policy } from "./policies.js";
import { Status } from "./status.js";

const LISTS = {
  listeners: ["Listeners", Listeners, Listener],
  "server-groups": ["Server groups", Groups, Group],
  certificates: ["Certificates", Certificates, Certificate],
  "ca-certificates": ["CA certificates", Authorities, Authority],
  "security-policies": ["TLS policies", Policies, Policy],
  history: ["History", History, Revision],
  status: ["Status", Status, null],
};

export function pageOf([kind = "listeners", name, what]) {
  if (kind === "create" && name === "listener") return { title: "Create a listener", view: html`<${Wizard} />` };
  if (kind === "listeners" && what === "edit")
    return { title: `Edit ${name}`, view: html`<${EditListener} name=${name} />` };
  const [title, List, One] = LISTS[kind] ?? [];
  if (List && name === undefined) return { title, view: html`<${List} />` };
  if (One && name !== undefined && what === undefined) return { title: name, view: html`<${One} name=${name} />` };
  return { title: "Not found", view: html`<h1>There is no such page</h1><p><a href="#/listeners">Listeners</a></p>` };
}
