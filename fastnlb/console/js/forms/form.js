// The state of a form: what is typed, what is wrong with it, and the sending of it.
//
// Errors are the API's, each at the path it names.  An error goes away when its field is changed; one that has no field
// in the form is shown above it, so none is ever lost.

import { ApiError, Lost, repeatKey } from "../api.js";
import { useEffect, useRef, useState } from "../lib.js";
import { overlay } from "../parts/overlay.js";
import { guardLeaving } from "../router.js";

const HEAD = /^[^.[]+/;

/** The first word of a path. */
export const headOf = (path) => HEAD.exec(path)?.[0] ?? "";
const within = (path, outer) => path === outer || path.startsWith(`${outer}.`) || path.startsWith(`${outer}[`);

/** {values, set, errors, setErrors, errorAt, dirty}.  `set({port: "80"})`; `errorAt("servers[0].port")`. */
export function useForm(initial) {
  const [values, setValues] = useState(initial);
  const [errors, setErrors] = useState([]);
  const [dirty, setDirty] = useState(false);
  const fields = useRef(new Map());

  const form = {
    values,
    errors,
    dirty,
    fields: fields.current,
    setErrors,
    set(change, about = Object.keys(change)) {
      setValues((old) => ({ ...old, ...change }));
      setErrors((old) => old.filter((error) => !about.some((path) => within(error.path, path))));
      setDirty(true);
    },
    reset(to) {
      setValues(to);
      setErrors([]);
      setDirty(false);
    },
    /** What is wrong at a path or below it. */
    errorAt: (path) => textOf(errors.filter((error) => within(error.path, path))),
    errorExactlyAt: (path) => textOf(errors.filter((error) => error.path === path)),
    /** Errors that no field of this form stands for. */
    homeless: () => errors.filter((error) => ![...fields.current.keys()].some((path) => within(error.path, path))),
  };
  return form;
}

const textOf = (errors) => errors.map((error) => error.message).join(" ");

/** Says to the form that there is a field for this path while it is on the page. */
export function useFieldOf(form, path) {
  useEffect(() => {
    form.fields.set(path, (form.fields.get(path) ?? 0) + 1);
    return () => {
      const count = form.fields.get(path) - 1;
      if (count) form.fields.set(path, count);
      else form.fields.delete(path);
    };
  }, [form.fields, path]);
}

/** {busy, failure, run}.  `run(action)`: errors go to the form, the first wrong field gets the focus. */
export function useSending(form) {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState(null);
  const key = useRef({ content: null, key: "" });

  async function run(action) {
    if (busy) return undefined;
    setBusy(true);
    setFailure(null);
    form.setErrors([]);
    try {
      return await action();
    } catch (error) {
      take(error);
      return undefined;
    } finally {
      setBusy(false);
    }
  }

  function take(error) {
    if (error instanceof ApiError && error.readOnly) {
      overlay.set({ kind: "read-only", why: error.message, yaml: error.yaml });
    } else if (error instanceof ApiError && error.errors.length) {
      form.setErrors(error.errors);
      setFailure({ summary: true });
      focusFirstWrong();
    } else if (error instanceof ApiError || error instanceof Lost) {
      setFailure({ text: error.message, lost: error instanceof Lost });
    } else {
      throw error;
    }
  }

  /** The same key for the same content, so that sending again after a lost answer does nothing twice. */
  function keyFor(content) {
    const text = JSON.stringify(content);
    if (key.current.content !== text) key.current = { content: text, key: repeatKey() };
    return key.current.key;
  }

  return { busy, failure, setFailure, run, keyFor };
}

export function focusFirstWrong() {
  requestAnimationFrame(() => {
    const open = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document;
    const wrong = open.querySelector('[aria-invalid="true"]') ?? open.querySelector("[data-form-errors]");
    wrong?.closest("details:not([open])")?.setAttribute("open", "");
    wrong?.focus();
  });
}

export function useGuard(active, question = "Leave this form? What you have typed will be lost.") {
  useEffect(() => (active ? guardLeaving(question) : undefined), [active]);
}

/** "80" as 80, "" as nothing; anything else as it is, for the API to say what is wrong with it. */
export function wholeNumber(text) {
  const trimmed = String(text ?? "").trim();
  if (trimmed === "") return undefined;
  return /^-?\d{1,15}$/.test(trimmed) ? Number(trimmed) : trimmed;
}

export const words = (text) => text.split(/[\s,]+/).filter(Boolean);

/** Without what is undefined. */
export const present = (mapping) =>
  Object.fromEntries(Object.entries(mapping).filter(([, value]) => value !== undefined));
