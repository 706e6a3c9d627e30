// Around every page: navigation, banners that concern the whole console, dialogs that may come over any page.

import { get } from "./api.js";
import { time } from "./format.js";
import { html, useEffect, useErrorBoundary, useLayoutEffect, useRef, useState } from "./lib.js";
import { LoginDialog } from "./login.js";
import { Copyable } from "./parts/bits.js";
import { Dialog } from "./parts/dialog.js";
import { notices, overlay } from "./parts/overlay.js";
import { pageOf } from "./pages/index.js";
import { route, to } from "./router.js";
import { readOnlyReason, session, signOut, tryNow } from "./session.js";
import { useStore } from "./store.js";
import { chooseTheme, chosenTheme, THEMES } from "./theme.js";

const STATUS_SECONDS = 5;

const NAVIGATION = [
  ["listeners", "Listeners"],
  ["server-groups", "Server groups"],
  null,
  ["certificates", "Certificates"],
  ["ca-certificates", "CA certificates"],
  ["security-policies", "TLS policies"],
  null,
  ["history", "History"],
  ["status", "Status"],
];

const sectionOf = ([kind = "listeners", what]) => (kind === "create" ? `${what}s` : kind);

export function Frame() {
  const { parts } = useStore(route);
  const { status, lost, login } = useStore(session);
  useStatus();
  const { title, view } = pageOf(parts);
  useEffect(() => {
    document.title = `${title} · fastnlb`;
  }, [title]);
  const main = useRef(null);
  const first = useRef(true);
  useLayoutEffect(() => {
    if (first.current) first.current = false;
    else {
      main.current.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
  }, [parts.join("/")]);
  return html`
    <a class="skip" href="#main"
        onClick=${(event) => (event.preventDefault(), main.current.focus())}>Skip to the content</a>
    <div class="frame">
      <${Side} here=${sectionOf(parts)} status=${status} />
      <main id="main" class="content" tabindex="-1" ref=${main}>
        ${lost !== null && html`<${LostBanner} since=${lost} />`}
        <${ReadOnlyBanner} />
        <${Guarded} key=${parts.join("/")} view=${view} />
      </main>
    </div>
    <${Overlay} />
    <${Notices} />
    ${login !== null && html`<${LoginDialog} why=${login} />`}
  `;
}

/** A fault in one page leaves the navigation alive. */
function Guarded({ view }) {
  const [fault] = useErrorBoundary((error) => console.error(error));
  if (!fault) return view;
  return html`<div class="banner bad" role="alert"><div>
  <strong>This page has failed.</strong> ${fault.message}. The other pages still work.</div></div>`;
}

function useStatus() {
  const { epoch } = useStore(session);
  useEffect(() => {
    let over = false;
    const read = async () => {
      try {
        const status = await get("/status");
        if (!over) session.patch({ status: { ...status, at: Date.now() } });
      } catch {
        // the banner says so
      }
    };
    read();
    const timer = setInterval(() => document.hidden || session.get().login !== null || read(), STATUS_SECONDS * 1000);
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [epoch]);
}

function Side({ here, status }) {
  const { hasToken } = useStore(session);
  return html`
    <header class="side">
      <a class="brand" href=${to("listeners")}><img src="icon.svg" alt="" /><strong>fastnlb</strong></a>
      <nav class="nav" aria-label="Main">
        ${NAVIGATION.map((entry) =>
          entry === null
            ? html`<span class="gap"></span>`
            : html`<a href=${to(entry[0])} aria-current=${here === entry[0] ? "page" : undefined}>${entry[1]}</a>`,
        )}
      </nav>
      <div class="side-end">
        <select aria-label="Theme" onChange=${(event) => chooseTheme(event.target.value)}>
          ${THEMES.map(([value, text]) => html`<option value=${value}
              selected=${value === chosenTheme()}>${text}</option>`)}
        </select>
        ${hasToken && html`<button class="button little" type="button" onClick=${signOut}>Sign out</button>`}
        ${status && html`<p
            class="small muted version">fastnlb ${status.version}${status.caller && html`<br />as ${status.caller.name}`}</p>`}
      </div>
    </header>
  `;
}

function LostBanner({ since }) {
  const [trying, setTrying] = useState(false);
  const again = async () => {
    setTrying(true);
    await tryNow();
    setTrying(false);
  };
  return html`
    <div class="banner warn" role="alert">
      <div><strong>The daemon cannot be reached</strong> since ${time(since)}. What is shown is from before; nothing you have typed is lost. It is tried again by itself.</div>
      <button class="button" type="button" disabled=${trying} onClick=${again}>Try now</button>
    </div>
  `;
}

function ReadOnlyBanner() {
  useStore(session);
  const why = readOnlyReason();
  if (!why) return null;
  return html`
    <div class="banner" role="note" data-read-only>
      <div><strong>Read-only.</strong> ${why} Forms show the YAML to write instead.</div>
    </div>
  `;
}

function Overlay() {
  const shown = useStore(overlay);
  if (shown === null) return null;
  const close = () => overlay.set(null);
  const foot = html`<button class="button primary" type="button" onClick=${close}>Close</button>`;
  return html`
    <${Dialog} title="Nothing was changed" onClose=${close} foot=${foot}>
      <p tabindex="-1">${shown.why}</p>
      ${
        shown.yaml &&
        html`<p>Write this into the configuration file and run <code>fastnlb reload</code>:</p><${Copyable}
            text=${shown.yaml} label="YAML to write" />`
      }
    <//>
  `;
}

function Notices() {
  const shown = useStore(notices);
  return html`<div class="toasts" role="status" aria-live="polite">${shown.map(({ id, text, tone }) => html`<div
      key=${id} class=${`toast ${tone}`}>${text}</div>`)}</div>`;
}
