// The login dialog, over whatever is open: the form below it is kept as it is.

import { bearer, giveToken, giveUpLogin } from "./session.js";
import { html, useState } from "./lib.js";
import { Dialog } from "./parts/dialog.js";

export function LoginDialog({ why }) {
  const [token, setToken] = useState("");
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);

  async function submit() {
    const given = token.trim();
    if (!given) return setWrong("A token looks like fnlb_…");
    setBusy(true);
    const problem = await refusal(given);
    setBusy(false);
    if (problem) return setWrong(problem);
    return giveToken(given);
  }

  const foot = html`
    <button class="button" type="button" onClick=${giveUpLogin}>Not now</button>
    <button class="button primary" type="submit" disabled=${busy}>Sign in</button>
  `;
  return html`
    <${Dialog} title=${bearer() ? "Sign in again" : "Sign in"} onClose=${giveUpLogin} onSubmit=${submit} foot=${foot}
        narrow=${true}>
      ${why && html`<p>${why}</p>`}
      <div class="field">
        <label for="token">Token</label>
        <input id="token" class="input mono" type="password" autofocus autocomplete="off" value=${token}
          aria-invalid=${wrong ? "true" : undefined} aria-describedby="token-hint${wrong ? " token-error" : ""}"
          onInput=${(event) => (setToken(event.target.value), setWrong(""))} />
        ${wrong && html`<p class="wrong" id="token-error" role="alert">${wrong}</p>`}
        <p class="hint"
            id="token-hint">Made by <code>fastnlb token create</code>. It is kept in the memory of this page and nowhere else: a reload asks again.</p>
      </div>
    <//>
  `;
}

/** Why a token is not accepted, or "". */
async function refusal(token) {
  try {
    const response = await fetch("/api/v1/status", {
      headers: { Authorization: `Bearer ${token}` },
      cache: "no-store",
    });
    if (response.ok) return "";
    return (await response.json()).detail ?? `The daemon answered ${response.status}.`;
  } catch {
    return "The daemon cannot be reached, or this is no token.";
  }
}
