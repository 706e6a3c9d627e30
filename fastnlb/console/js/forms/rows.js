// Editors of rows: tags, and the servers of a group.

import { html } from "../lib.js";
import { useFieldOf, wholeNumber } from "./form.js";
import { Wrong } from "./fields.js";

function focusLast(selector) {
  requestAnimationFrame(() => [...document.querySelectorAll(selector)].at(-1)?.focus());
}

/** Tags as [[key, value]]; rows that are empty are not sent. */
export function TagsField({ form, name = "tags" }) {
  useFieldOf(form, name);
  const rows = form.values[name];
  const error = form.errorAt(name);
  const put = (index, at, text) =>
    form.set({ [name]: rows.map((row, each) => (each === index ? row.with(at, text) : row)) });
  const add = () => {
    form.set({ [name]: [...rows, ["", ""]] });
    focusLast("[data-tag-key]");
  };
  return html`
    <fieldset class="field wide">
      <legend class="label">Tags <span class="optional">optional</span></legend>
      <div class="rows">
        ${rows.map(
          ([key, value], index) => html`
            <div class="line tag-line" key=${index}>
              <input class="input" data-tag-key aria-label=${`Key of tag ${index + 1}`} placeholder="env" value=${key}
                aria-invalid=${error ? "true" : undefined} aria-describedby=${error ? "field-tags-error" : undefined}
                onInput=${(event) => put(index, 0, event.target.value)} />
              <input class="input" aria-label=${`Value of tag ${index + 1}`} placeholder="production" value=${value}
                onInput=${(event) => put(index, 1, event.target.value)} />
              <button class="button quiet" type="button" aria-label=${`Remove tag ${index + 1}`}
                onClick=${() => form.set({ [name]: rows.filter((_, each) => each !== index) })}>Remove</button>
            </div>
          `,
        )}
      </div>
      <${Wrong} id="field-tags" error=${error} />
      <div><button class="button little" type="button" onClick=${add}>Add a tag</button></div>
    </fieldset>
  `;
}

export const tagsOf = (rows) => Object.fromEntries(rows.filter(([key, value]) => key.trim() || value.trim()));
export const tagRows = (tags) => Object.entries(tags ?? {});

export const emptyServer = () => ({ address: "", port: "", weight: "100" });
export const serverRow = ({ address, port, weight }) => ({
  address,
  port: port ? String(port) : "",
  weight: String(weight),
});

/** A row as the API takes it. */
export function serverOf({ address, port, weight }) {
  return { address: address.trim(), port: wholeNumber(port) ?? null, weight: wholeNumber(weight) ?? 100 };
}

/** Rows that say nothing are not sent, so an error's index is of those that say something. */
export const filledServers = (rows) => rows.filter((row) => row.address.trim() || row.port.trim());

/** Servers as [{address, port, weight}] of text; `anyPort` leaves the port to the client. */
export function ServersField({ form, name = "servers", anyPort }) {
  useFieldOf(form, name);
  const rows = form.values[name];
  const filled = filledServers(rows);
  const put = (index, change) =>
    form.set({ [name]: rows.map((row, each) => (each === index ? { ...row, ...change } : row)) });
  const add = () => {
    form.set({ [name]: [...rows, emptyServer()] });
    focusLast("[data-server-address]");
  };
  const input = (row, index, key, label, more) => {
    const sent = filled.indexOf(row);
    const error =
      sent < 0
        ? ""
        : form.errorAt(`${name}[${sent}].${key}`) ||
          (key === "address" ? form.errorExactlyAt(`${name}[${sent}]`) : "");
    const id = `server-${index}-${key}`;
    return html`<div>
      <input class="input" aria-label=${`${label} of server ${index + 1}`} value=${row[key]} id=${id}
        aria-invalid=${error ? "true" : undefined} aria-describedby=${error ? `${id}-error` : undefined}
        autocomplete="off" spellcheck=${false}
        onInput=${(event) => put(index, { [key]: event.target.value })} ...${more} />
      <${Wrong} id=${id} error=${error} />
    </div>`;
  };
  return html`
    <fieldset class="field wide">
      <legend class="label">Servers</legend>
      <div class="rows">
        <div class="line server-line heads" aria-hidden="true"><span>Address, host name or unix:/path</span>
        <span>Port</span><span>Weight</span><span></span></div>
        ${rows.map(
          (row, index) => html`
            <div class="line server-line" key=${index}>
              ${input(row, index, "address", "Address", { "data-server-address": true, placeholder: "10.0.0.11" })}
              ${input(row, index, "port", "Port", { inputmode: "numeric", placeholder: anyPort ? "the client's" : "8080", disabled: anyPort })}
              ${input(row, index, "weight", "Weight", { inputmode: "numeric" })}
              <button class="button quiet" type="button" aria-label=${`Remove server ${index + 1}`}
                onClick=${() => form.set({ [name]: rows.filter((_, each) => each !== index) })}>Remove</button>
            </div>
          `,
        )}
      </div>
      <${Wrong} id="field-servers" error=${form.errorExactlyAt(name)} />
      <p class="hint">A weight of 0 to 100; 0 gives the server no new connections.</p>
      <div><button class="button little" type="button" onClick=${add}>Add a server</button></div>
    </fieldset>
  `;
}
