// Labelled fields.  Each stands for a path of the resource: the API's error for that path is said at it.

import { html } from "../lib.js";
import { useFieldOf } from "./form.js";

const idOf = (path) => `field-${path.replace(/[^A-Za-z0-9]+/g, "-")}`;

/** What ties an input to its label, hint and error. */
function tied(id, error, hint) {
  const said = [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(" ");
  return { id, "aria-invalid": error ? "true" : undefined, "aria-describedby": said || undefined };
}

export function Wrong({ id, error }) {
  return error ? html`<p class="wrong" id=${`${id}-error`}>${error}</p>` : null;
}

function Around({ id, label, hint, error, optional, wide, children }) {
  return html`
    <div class=${wide ? "field wide" : "field"}>
      <label for=${id}>${label}${optional && html` <span class="optional">optional</span>`}</label>
      ${children}
      <${Wrong} id=${id} error=${error} />
      ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    </div>
  `;
}

/** `name`: the key in the form's values; `path`: that of the API when it is another one. */
export function TextField({
  form,
  name,
  path = name,
  label,
  hint,
  optional,
  wide,
  unit,
  short,
  type = "text",
  ...more
}) {
  useFieldOf(form, path);
  const id = idOf(path === name ? name : `${path}-${name}`);
  const error = form.errorAt(path);
  const input = html`<input
    class=${short ? "input short" : "input"}
    type=${type}
    value=${form.values[name]}
    onInput=${(event) => form.set({ [name]: event.target.value }, [path])}
    autocomplete="off"
    spellcheck=${false}
    ...${tied(id, error, hint)}
    ...${more}
  />`;
  return html`<${Around} ...${{ id, label, hint, error, optional, wide }}>
    ${unit ? html`<div class="with-unit">${input}<span>${unit}</span></div>` : input}
  <//>`;
}

export const NumberField = (props) => html`<${TextField} inputmode="numeric" short=${true} ...${props} />`;

export function SelectField({ form, name, path = name, label, hint, options, optional, wide, onPick }) {
  useFieldOf(form, path);
  const id = idOf(path);
  const error = form.errorAt(path);
  const pick = (event) => (onPick ? onPick(event.target.value) : form.set({ [name]: event.target.value }, [path]));
  return html`<${Around} ...${{ id, label, hint, error, optional, wide }}>
    <select value=${form.values[name]} onChange=${pick} ...${tied(id, error, hint)}>
      ${options.map(([value, text]) => html`<option value=${value}
          selected=${value === form.values[name]}>${text}</option>`)}
    </select>
  <//>`;
}

export function CheckField({ form, name, path = name, label, hint }) {
  useFieldOf(form, path);
  const id = idOf(path);
  const error = form.errorAt(path);
  return html`
    <div class="field">
      <label class="check">
        <input
          type="checkbox"
          checked=${form.values[name]}
          onChange=${(event) => form.set({ [name]: event.target.checked }, [path])}
          ...${tied(id, error, hint)}
        />
        <span>${label}</span>
      </label>
      ${hint && html`<p class="hint check-hint" id=${`${id}-hint`}>${hint}</p>`}
      <${Wrong} id=${id} error=${error} />
    </div>
  `;
}

/** One choice of a group: called by its title, described by its hint. */
export function Card({ type, group, title, hint, error, value = title, ...more }) {
  const id = `${group}-${value}`.replace(/[^A-Za-z0-9]+/g, "-");
  return html`
    <label class="card-choice">
      <input type=${type} name=${group} aria-labelledby=${`${id}-title`}
          aria-describedby=${hint ? `${id}-hint` : undefined}
        aria-invalid=${error ? "true" : undefined} ...${more} />
      <span><strong id=${`${id}-title`}>${title}</strong>${hint && html`<span class="hint"
          id=${`${id}-hint`}>${hint}</span>`}</span>
    </label>
  `;
}

/** Radio cards; `choices`: [{value, title, hint}]. */
export function ChoiceField({ form, name, path = name, label, choices, onPick }) {
  useFieldOf(form, path);
  const id = idOf(path);
  const error = form.errorAt(path);
  const pick = (value) => (onPick ? onPick(value) : form.set({ [name]: value }, [path]));
  return html`
    <fieldset class="field" aria-describedby=${error ? `${id}-error` : undefined}>
      <legend class="label">${label}</legend>
      <div class="choices">
        ${choices.map(
          ({ value, title, hint }) => html`
            <${Card} key=${value} ...${{ title, hint, error, value }} type="radio" group=${id}
                checked=${form.values[name] === value} onChange=${() => pick(value)} />
          `,
        )}
      </div>
      <${Wrong} id=${id} error=${error} />
    </fieldset>
  `;
}

/** Several of a few; the value is a list in the order of `choices`. */
export function ManyField({ form, name, path = name, label, hint, choices, mono }) {
  useFieldOf(form, path);
  const id = idOf(path);
  const error = form.errorAt(path);
  const chosen = new Set(form.values[name]);
  const toggle = (value, on) => {
    on ? chosen.add(value) : chosen.delete(value);
    form.set({ [name]: choices.map(([each]) => each).filter((each) => chosen.has(each)) }, [path]);
  };
  return html`
    <fieldset class="field wide"
        aria-describedby=${[error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(" ") || undefined}>
      <legend class="label">${label}</legend>
      ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
      <div class=${mono ? "cipher-choices" : "row"}>
        ${choices.map(
          ([value, text]) => html`
            <label class="check" key=${value}>
              <input
                type="checkbox"
                checked=${chosen.has(value)}
                onChange=${(event) => toggle(value, event.target.checked)}
                aria-invalid=${error ? "true" : undefined}
              />
              <span>${text}</span>
            </label>
          `,
        )}
      </div>
      <${Wrong} id=${id} error=${error} />
    </fieldset>
  `;
}

/** PEM text, pasted, dropped or read from a file. */
export function PemField({ form, name, path = name, label, hint, optional, rows = 5, secret }) {
  useFieldOf(form, path);
  const id = idOf(path);
  const error = form.errorAt(path);
  const take = async (file) => file && form.set({ [name]: await file.text() }, [path]);
  const drop = (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  };
  return html`<${Around} ...${{ id, label, hint, error, optional, wide: true }}>
    <textarea
      rows=${rows}
      value=${form.values[name]}
      onInput=${(event) => form.set({ [name]: event.target.value }, [path])}
      onDrop=${drop}
      placeholder=${secret ? "-----BEGIN PRIVATE KEY-----" : "-----BEGIN CERTIFICATE-----"}
      autocomplete="off"
      spellcheck=${false}
      ...${tied(id, error, hint)}
    ></textarea>
    <div>
      <input
        class="small"
        type="file"
        aria-label=${`${label}: read from a file`}
        accept=".pem,.crt,.cer,.key,.txt,application/x-pem-file"
        onChange=${(event) => take(event.target.files[0]).finally(() => (event.target.value = ""))}
      />
    </div>
  <//>`;
}

/** What is wrong that has no field here, and why nothing was sent. */
export function FormErrors({ form, failure }) {
  const homeless = form.homeless();
  if (!failure && !homeless.length) return null;
  const count = form.errors.length;
  const text =
    failure?.text ?? (count === 1 ? "One thing has to be put right." : `${count} things have to be put right.`);
  return html`
    <div class=${failure?.lost ? "banner warn" : "banner bad"} role="alert" tabindex="-1" data-form-errors>
      <div>
        <strong>${text}</strong>
        ${
          homeless.length > 0 &&
          html`<ul>
          ${homeless.map((error) => html`<li>${where(error)}${error.message}</li>`)}
        </ul>`
        }
      </div>
    </div>
  `;
}

const where = ({ resource, path }) => {
  const place = [resource, path].filter(Boolean).join(": ");
  return place ? html`<code>${place}</code> ` : "";
};
