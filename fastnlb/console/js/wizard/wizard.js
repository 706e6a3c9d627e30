// Creating a listener in four steps.  Each is left when the API's dry run finds nothing wrong with its fields; going
// back keeps everything.  What is created on the way (a certificate, a group) exists from then on.

import { post } from "../api.js";
import { html, useEffect, useMemo, useRef, useState } from "../lib.js";
import { CertificateFields } from "../forms/certificate-fields.js";
import { FormErrors } from "../forms/fields.js";
import { focusFirstWrong, headOf, useForm, useGuard, useSending } from "../forms/form.js";
import { GroupChoice } from "../forms/group-choice.js";
import { ListenerFields } from "../forms/listener-fields.js";
import { newListener, ownErrors, STEP_FIELDS, toListener } from "../forms/listener-values.js";
import { notice } from "../parts/overlay.js";
import { go, to } from "../router.js";
import { readOnlyReason } from "../session.js";
import { Leftovers } from "./leftovers.js";
import { Review } from "./review.js";

const STEPS = ["Configure listener", "Configure certificate", "Select server group", "Review"];
const LATER = "to-be-chosen"; // stands for a group that a later step chooses; its own error is not this step's
const REVIEW = 3;

const stepOf = (path) => {
  const step = STEP_FIELDS.findIndex((fields) => fields.includes(headOf(path)));
  return step < 0 ? 0 : step;
};

export function Wizard() {
  const form = useForm(useMemo(newListener, []));
  const { busy, failure, setFailure, run, keyFor } = useSending(form);
  const [step, setStep] = useState(0);
  const [reached, setReached] = useState(0);
  const [change, setChange] = useState(null);
  const [created, setCreated] = useState([]);
  const heading = useRef(null);
  const tls = form.values.protocol === "TCPSSL";
  useGuard(form.dirty || created.length > 0);
  useEffect(() => heading.current?.focus(), [step]);

  function show(next) {
    setFailure(null);
    setStep(next);
    setReached((old) => Math.max(old, next));
  }

  const neighbour = (by) => (step + by === 1 && !tls ? step + 2 * by : step + by);

  /** What is wrong with the steps up to `last`, asked of the API; the plan when all is chosen. */
  async function check(last) {
    const own = ownErrors(form.values).filter(({ path }) => stepOf(path) <= last);
    if (readOnlyReason()) return { errors: own, change: null };
    const listener = toListener(form.values);
    try {
      const answer = await post(
        "/listeners",
        { ...listener, server_group: listener.server_group || LATER },
        { dryRun: true },
      );
      return { errors: own, change: answer.change };
    } catch (error) {
      if (!error.errors?.length) throw error;
      const mine = error.errors.filter(({ resource, path }) => resource || stepOf(path) <= last);
      return { errors: [...own, ...mine.map(nameless)], change: null };
    }
  }

  const next = () =>
    run(async () => {
      const last = step === 2 ? 2 : step;
      const found = await check(last);
      if (found.errors.length) return complain(found.errors);
      setChange(found.change);
      form.setErrors([]);
      return show(neighbour(1));
    });

  /** Errors are shown at their fields, on the first step that has some. */
  function complain(errors) {
    const first = Math.min(step, ...errors.map(({ path }) => stepOf(path)));
    if (first !== step) show(first);
    form.setErrors(errors);
    setFailure({ summary: true });
    focusFirstWrong();
  }

  const submit = () =>
    run(async () => {
      const listener = toListener(form.values);
      try {
        const done = await post("/listeners", listener, { key: keyFor(listener) });
        notice(`The listener ${done.name} serves.`);
        go("listeners", done.name);
      } catch (error) {
        if (!error.errors?.length) throw error;
        complain(error.errors.map(nameless));
      }
    });

  const submitStep = (event) => {
    event.preventDefault();
    if (step === REVIEW) submit();
    else next();
  };
  const onCreated = (kind, resource, sent) => setCreated((old) => [...old, { kind, resource, sent }]);

  return html`
    <div class="page-head"><div><p class="crumb"><a href=${to("listeners")}>Listeners</a></p>
    <h1>Create a listener</h1></div></div>
    <ol class="steps" aria-label="Steps">
      ${STEPS.map(
        (title, index) => html`
          <li key=${title} class=${index < step ? "done" : ""}>
            <button type="button" aria-current=${index === step ? "step" : undefined}
              disabled=${index > reached || (index === 1 && !tls) || (index > step && form.errors.length > 0)}
              onClick=${() => (index > step ? next() : show(index))}>
              <span>${title}${index === 1 && !tls ? " (TCPSSL only)" : ""}</span>
            </button>
          </li>
        `,
      )}
    </ol>
    <form class="panel" onSubmit=${submitStep} noValidate aria-label=${STEPS[step]}>
      <div class="body">
        <h2 tabindex="-1" ref=${heading}>${STEPS[step]}</h2>
        <${FormErrors} form=${form} failure=${failure} />
        ${step === 0 && html`<${ListenerFields} form=${form} />`}
        ${step === 1 && html`<${CertificateFields} form=${form} onCreated=${onCreated} />`}
        ${step === 2 && html`<${GroupChoice} form=${form} onCreated=${onCreated} />`}
        ${step === REVIEW && html`<${Review} listener=${toListener(form.values)} change=${change} created=${created}
            show=${show} />`}
      </div>
      <div class="wizard-foot">
        <${Leftovers} created=${created} dirty=${form.dirty} />
        <div class="row">
          ${step > 0 && html`<button class="button" type="button" onClick=${() => show(neighbour(-1))}>Back</button>`}
          ${step < REVIEW && html`<button class="button primary" type="submit"
              disabled=${busy}>${busy ? "Checking …" : "Next"}</button>`}
          ${step === REVIEW && !readOnlyReason() && html`<button class="button primary" type="submit"
              disabled=${busy}>${busy ? "Creating …" : "Create listener"}</button>`}
        </div>
      </div>
    </form>
  `;
}

/** A listener without a name of its own was given the suggested one. */
const nameless = (error) => (error.resource?.startsWith("listeners/") ? { ...error, resource: undefined } : error);
