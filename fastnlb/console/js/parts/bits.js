// Small parts that say how something is.

import { date, fromNow, number } from "../format.js";
import { html, useState } from "../lib.js";
import { overlay } from "./overlay.js";

export const Badge = ({ tone = "", children }) => html`<span class=${`badge ${tone}`}>${children}</span>`;

const HEALTH = {
  HEALTHY: ["good", "Healthy"],
  UNHEALTHY: ["bad", "Unhealthy"],
  INITIAL: ["info hollow", "Not checked yet"],
  UNAVAILABLE: ["hollow", "Not checked"],
};

const REASONS = {
  CONNECT_TIMEOUT: "no answer to the connection attempt",
  CONNECT_FAILED: "the connection is refused or fails",
  RECV_RESPONSE_TIMEOUT: "no answer to the request in time",
  CONNECT_INTERRUPT: "the connection ends before the answer",
  HTTP_CODE_NOT_MATCH: "an HTTP status that does not count as well",
  HTTP_INVALID_HEADER: "an answer that is no HTTP",
};

export function Health({ health, reason, weight }) {
  const [tone, text] = HEALTH[health] ?? ["hollow", "Not known"];
  return html`<span class="row">
    <${Badge} tone=${tone}>${text}<//>
    ${weight === 0 && html`<${Badge} tone="warn">Drained<//>`}
    ${reason && html`<span class="small">${REASONS[reason] ?? reason} <code>${reason}</code></span>`}
  </span>`;
}

export function State({ status }) {
  return html`<${Badge} tone=${status === "Running" ? "good" : "hollow"}>${status}<//>`;
}

/** How many of a group's servers are well. */
export function Servers({ group }) {
  if (!group) return "–";
  const { healthy, unhealthy, total } = group;
  if (!total) return html`<${Badge} tone="bad">No servers<//>`;
  if (unhealthy)
    return html`<${Badge}
        tone=${unhealthy === total ? "bad" : "warn"}>${number(unhealthy)} of ${number(total)} unhealthy<//>`;
  if (healthy < total) return html`<${Badge} tone="info hollow">${number(total)} not checked yet<//>`;
  return html`<${Badge} tone="good">${number(healthy)} healthy<//>`;
}

const SOON_DAYS = 30;

export function Expiry({ at }) {
  if (!at) return "–";
  const days = (new Date(at) - Date.now()) / 86_400_000;
  const tone = days < 0 ? "bad" : days < SOON_DAYS ? "warn" : "plain";
  return html`<span class="row"><span class="nowrap">${date(at)}</span><${Badge}
      tone=${tone}>${days < 0 ? "expired " : ""}${fromNow(at)}<//></span>`;
}

export function Tags({ tags }) {
  const rows = Object.entries(tags ?? {});
  return rows.length
    ? html`<span class="tags">${rows.map(([key, value]) => html`<span class="tag">${key}=${value}</span>`)}</span>`
    : null;
}

export function Copyable({ text, label, copyLabel = "Copy" }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
    } catch {
      setCopied(false); // no permission: the text can be marked by hand
    }
  };
  return html`
    <div class="copyable">
      <pre tabindex="0" role="region" aria-label=${label}>${text}</pre>
      <button class="button little" type="button" aria-label=${`${copyLabel}: ${label}`}
          onClick=${copy}>${copied ? "Copied" : copyLabel}</button>
    </div>
  `;
}

const TONES = { "+": "add", "-": "cut", "~": "change" };

/** The lines of a plan, and its warnings. */
export function Plan({ change }) {
  if (!change) return null;
  const { lines = [], warnings = [] } = change;
  return html`
    ${
      lines.length
        ? html`<ul class="plan" aria-label="What will change">${lines.map((line) => html`<li
            class=${TONES[line[0]] ?? ""}>${line}</li>`)}</ul>`
        : html`<p class="muted">Nothing changes.</p>`
    }
    <${Warnings} items=${warnings} />
  `;
}

function Warnings({ items = [] }) {
  if (!items.length) return null;
  return html`<div class="banner warn"><div><strong>Warnings</strong><ul>
    ${items.map(({ resource, message }) => html`<li>${resource && html`<code>${resource}</code> `}${message}</li>`)}
  </ul></div></div>`;
}

export function Trouble({ error, reload }) {
  if (!error) return null;
  return html`<div class="banner bad" role="alert">
    <div><strong>This could not be read.</strong> ${error.message}</div>
    <button class="button" type="button" onClick=${reload}>Try again</button>
  </div>`;
}

export const Loading = () => html`<p class="loading" role="status">Reading …</p>`;

export const Empty = ({ title, text, children }) =>
  html`<div class="empty"><h2>${title}</h2><p>${text}</p>${children && html`<div
      class="row">${children}</div>`}</div>`;

export const Panel = ({ title, actions, bare, children }) => html`
  <section class="panel" aria-label=${title}>
    ${title && html`<header><h2>${title}</h2>${actions && html`<div class="row">${actions}</div>`}</header>`}
    <div class=${bare ? "body bare" : "body"}>${children}</div>
  </section>
`;

/** Shows what would have to be written, where nothing can be changed. */
export const showYaml = (why, yaml) => overlay.set({ kind: "read-only", why, yaml });
