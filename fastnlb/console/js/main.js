// The console: one page, drawn into #app.

import { Frame } from "./frame.js";
import { html, render } from "./lib.js";
import { startTheme } from "./theme.js";

startTheme();
render(html`<${Frame} />`, document.getElementById("app"));
