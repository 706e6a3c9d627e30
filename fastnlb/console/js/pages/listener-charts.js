// What passes through a listener, while its page is open: connections, throughput, handshakes by result.

import { bytes, compact, rate } from "../format.js";
import { html, useRef } from "../lib.js";
import { Panel } from "../parts/bits.js";
import { Chart } from "../parts/chart.js";
import { levels, rates, useSeries } from "../parts/history.js";

const CONNECTIONS = [{ label: "Open", swatch: 1 }];
const NEW = [
  { label: "Accepted", swatch: 1 },
  { label: "Dropped", swatch: 3 },
];
const TRAFFIC = [
  { label: "From clients", swatch: 2 },
  { label: "To clients", swatch: 1 },
];
const HANDSHAKES = [
  { label: "Full", swatch: 1 },
  { label: "Resumed", swatch: 4 },
  { label: "Failed", swatch: 3 },
];

// What is zero need not be among the counters.
const sumOf = (pattern) => (numbers) =>
  Object.keys(numbers).reduce((total, key) => (pattern.test(key) ? total + numbers[key] : total), 0);

const accepted = sumOf(/^accepted$/);
const dropped = sumOf(/^dropped_/);
const up = sumOf(/^bytes_up$/);
const down = sumOf(/^bytes_down$/);
const full = sumOf(/^handshakes_tlsv\d+$/);
const resumed = sumOf(/^handshakes_tlsv\d+_resumed$/);
const failed = sumOf(/^failed_/);

const perSecond = (value) => bytes(value, "/s");

export function Charts({ listener }) {
  const { state } = listener;
  const seen = useRef({});
  if (seen.current.listener !== listener) seen.current = { listener, at: Date.now() };
  const rows = useSeries(listener.name, seen.current.at, { connections: state.connections, ...state.counters });
  return html`
    <${Panel} title="Live">
      <div class="columns">
        <${Chart} title="Connections" whole=${true} series=${CONNECTIONS} show=${compact}
            points=${levels(rows, (each) => each.connections)} />
        <${Chart} title="New connections" series=${NEW} show=${rate} points=${rates(rows, accepted, dropped)} />
        <${Chart} title="Throughput" series=${TRAFFIC} show=${perSecond} points=${rates(rows, up, down)} />
        ${
          listener.protocol === "TCPSSL" &&
          html`<${Chart} title="Handshakes" series=${HANDSHAKES} show=${rate}
              points=${rates(rows, full, resumed, failed)} />`
        }
      </div>
      <p class="muted small">Read every two seconds while this page is open.</p>
    <//>
  `;
}
