// The history of changes: who changed what and when, the difference, and the way back.

import { at, post } from "../api.js";
import { shown } from "../diff.js";
import { dateTime, fromNow } from "../format.js";
import { GROUP_DEFAULTS, LISTENER_DEFAULTS, same } from "../kinds.js";
import { html, useState } from "../lib.js";
import { Badge, Empty, Loading, Panel, showYaml, Trouble } from "../parts/bits.js";
import { Confirm } from "../parts/confirm.js";
import { notice } from "../parts/overlay.js";
import { LIVE, useResource } from "../resource.js";
import { go, to } from "../router.js";
import { readOnlyReason, session } from "../session.js";
import { useStore } from "../store.js";

const DEFAULTS = { listeners: LISTENER_DEFAULTS, "server-groups": GROUP_DEFAULTS };
const PAGE = 50;
const TONES = { added: "good", removed: "bad", changed: "warn" };

/** Only a daemon with a store has one. */
export function History() {
  const { status } = useStore(session);
  if (status === null) return html`<h1>History</h1><${Loading} />`;
  if (status.mode === "store") return html`<${Kept} />`;
  return html`
    <h1>History</h1>
    <section class="panel" aria-label="Revisions">
      <${Empty} title="There is no history"
          text="Where the configuration is a file, its history is that of the file. A daemon with --state-dir keeps every change." />
    </section>
  `;
}

function Kept() {
  const [before, setBefore] = useState([]);
  const query = before.length ? `&before=${before.at(-1)}` : "";
  const { data, error, reload } = useResource(`/revisions?limit=${PAGE}${query}`, LIVE);
  return html`
    <div class="page-head"><div><h1>History</h1>
    <p>Every change that was accepted. Any of these states can be gone back to; that is a new change.</p></div></div>
    <${Trouble} error=${data ? null : error} reload=${reload} />
    ${!data && !error && html`<${Loading} />`}
    ${
      data &&
      html`
      <section class="panel" aria-label="Revisions">
        ${data.items.length ? html`<${Revisions} items=${data.items} newest=${!before.length} />` : html`<${Empty}
            title="No change yet" text="Every change that the daemon accepts stands here." />`}
        ${
          (before.length > 0 || data.next) &&
          html`<nav class="filters row end" aria-label="Pages">
          <button class="button little" type="button" disabled=${!before.length}
              onClick=${() => setBefore(before.slice(0, -1))}>Newer</button>
          <button class="button little" type="button" disabled=${!data.next}
              onClick=${() => setBefore([...before, data.next])}>Older</button>
        </nav>`
        }
      </section>
    `
    }
  `;
}

const Revisions = ({ items, newest }) => html`
  <div class="table-wrap">
    <table class="cards" aria-label="Revisions">
      <thead><tr><th scope="col">Revision</th><th scope="col">What</th><th scope="col">By</th><th
          scope="col">When</th></tr></thead>
      <tbody>
        ${items.map(
          ({ number, summary, author, at: when }, index) => html`<tr key=${number}>
            <td class="name"><a
                href=${to("history", String(number))}>${number}</a> ${newest && index === 0 && html`<${Badge}
                    tone="good">in force<//>`}</td>
            <td data-label="What">${summary}</td>
            <td data-label="By">${author}</td>
            <td data-label="When"><span title=${dateTime(when)}>${fromNow(when)}</span></td>
          </tr>`,
        )}
      </tbody>
    </table>
  </div>
`;

export function Revision({ name }) {
  const { data, error, reload } = useResource(at("revisions", name));
  const recent = useResource("/revisions?limit=100").data?.items ?? [];
  const [against, setAgainst] = useState("");
  const other = useResource(against ? `${at("revisions", name, "diff")}?to=${against}` : null);
  if (!data)
    return error
      ? html`<h1>Revision ${name}</h1><${Trouble} error=${error} reload=${reload} />`
      : html`<${Loading} />`;
  const newest = recent[0]?.number === data.number;
  const changes = against ? other.data?.changes : data.changes;
  return html`
    <div class="page-head">
      <div>
        <p class="crumb"><a href=${to("history")}>History</a></p>
        <div class="title"><h1>Revision ${data.number}</h1>${newest && html`<${Badge} tone="good">in force<//>`}</div>
        <p>${data.summary} · by ${data.author} · ${dateTime(data.at)}</p>
      </div>
      <div class="row">${!newest && html`<${Restore} number=${data.number} />`}</div>
    </div>
    <${Panel} title=${against ? `From revision ${data.number} to ${against}` : "What it changed"} bare=${true}
      actions=${html`<span class="compare small"><label for="compare">Compare with</label>
        <select id="compare" onChange=${(event) => setAgainst(event.target.value)}>
          <option value="" selected=${against === ""}>the one before</option>
          ${recent.filter(({ number }) => number !== data.number).map(({ number }) => html`<option
              value=${String(number)} selected=${against === String(number)}>revision ${number}</option>`)}
        </select></span>`}>
      <${Trouble} error=${other.error} reload=${other.reload} />
      ${changes !== undefined ? html`<${Changes} items=${changes} />` : !other.error && html`<${Loading} />`}
    <//>
  `;
}

function Changes({ items }) {
  if (!items) return html`<${Empty} title="Not known any more" text="The revision before this one is not kept." />`;
  if (!items.length) return html`<${Empty} title="No difference" text="Both are the same." />`;
  return html`<div class="table-wrap"><table aria-label="Changes">
    <thead><tr><th scope="col">What</th><th scope="col">Field</th><th scope="col">Before</th><th
        scope="col">After</th></tr></thead>
    <tbody>${items.flatMap(rowsOf)}</tbody>
  </table></div>`;
}

function rowsOf({ kind, name, what, fields = {} }) {
  const head = html`<span class="row"><${Badge}
      tone=${`${TONES[what]} plain`}>${what}<//> <span>${kind.replaceAll("_", "-")} <strong>${name}</strong></span>
      </span>`;
  const usual = DEFAULTS[kind.replaceAll("_", "-")] ?? {};
  const telling = ([field, [old, now]]) =>
    what === "changed" || (field !== "name" && !same((what === "added" ? now : old) ?? null, usual[field] ?? null));
  const entries = Object.entries(fields).filter(telling);
  if (!entries.length) return [html`<tr><td>${head}</td><td colspan="3" class="muted"></td></tr>`];
  return entries.map(
    ([field, [old, now]], index) => html`<tr>
      <td>${index === 0 ? head : ""}</td><td><code>${field}</code></td><td class="break">${shown(old)}</td><td
          class="break"><strong>${shown(now)}</strong></td>
    </tr>`,
  );
}

function Restore({ number }) {
  const [asking, setAsking] = useState(false);
  const path = at("revisions", String(number), "restore");
  const press = () => {
    const why = readOnlyReason();
    if (why) showYaml(why, "");
    else setAsking(true);
  };
  const done = ({ change }) => {
    notice(`The state of revision ${number} is in force again.`);
    if (change?.revision) go("history", String(change.revision));
    else go("history");
  };
  return html`
    <button class="button primary" type="button" onClick=${press}>Go back to this state …</button>
    ${
      asking &&
      html`<${Confirm} title=${`Go back to revision ${number}?`} verb="Go back" danger=${false}
          plan=${() => post(path, undefined, { dryRun: true })} act=${() => post(path)}
      onDone=${done} onClose=${() => setAsking(false)}>
      <p>Everything becomes as it was after revision ${number}. What was changed since is undone, and stays in the history.</p>
    <//>`
    }
  `;
}
