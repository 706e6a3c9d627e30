// A modal dialog: the browser keeps the focus inside and gives it back afterwards.

import { html, useEffect, useRef } from "../lib.js";

let count = 0;

/** `onClose` is asked when Escape or the close button is pressed; `foot`: the buttons. */
export function Dialog({ title, onClose, onSubmit, foot, narrow, children }) {
  const dialog = useRef(null);
  const id = useRef(`dialog-${++count}`);
  useEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    element.showModal();
    (
      element.querySelector("[autofocus]") ??
      element.querySelector(".dialog-body :is(input, select, textarea, [tabindex='-1'])")
    )?.focus();
    return () => {
      element.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  const submit = (event) => {
    event.preventDefault();
    onSubmit?.();
  };
  const Inner = onSubmit ? "form" : "div";
  return html`
    <dialog ref=${dialog} class=${narrow ? "narrow" : ""} aria-labelledby=${id.current} onCancel=${cancel}>
      <${Inner} class="inner" onSubmit=${onSubmit ? submit : undefined} noValidate=${onSubmit ? true : undefined}>
        <div class="dialog-head">
          <h2 id=${id.current}>${title}</h2>
          <button class="button quiet little" type="button" aria-label="Close" onClick=${onClose}>✕</button>
        </div>
        <div class="dialog-body">${children}</div>
        ${foot && html`<div class="dialog-foot">${foot}</div>`}
      <//>
    </dialog>
  `;
}
