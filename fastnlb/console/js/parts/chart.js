// Lines over time, by uPlot.  The figure says the newest values in words, for who cannot see the lines.

import { html, useEffect, useRef } from "../lib.js";
import { time } from "../format.js";

const AXIS_FONT = "11px system-ui, sans-serif";

const LEAST_SECONDS = 30;
const WHOLE_STEPS = Array.from({ length: 8 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();

let library = null;
const load = () => (library ??= import("../../vendor/uplot-1.6.32/uPlot.esm.js").then((module) => module.default));

/** `points`: [[seconds], [values], ...]; `series`: [{label, swatch}]; `show` writes a value.  `whole`: there are no
    values between whole numbers. */
export function Chart({ title, points, series, show, whole = false }) {
  const place = useRef(null);
  const plot = useRef(null);
  const latest = useRef({ points, show });
  latest.current = { points, show };

  useEffect(() => {
    let over = false;
    const watch = new ResizeObserver(() => plot.current?.setSize(sizeOf(place.current)));
    const repaint = () => make();

    async function make() {
      const UPlot = await load();
      if (over) return;
      plot.current?.destroy();
      plot.current = new UPlot(options(place.current, series, latest, whole), latest.current.points, place.current);
    }

    make();
    watch.observe(place.current);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", repaint);
    const theme = new MutationObserver(repaint);
    theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      over = true;
      watch.disconnect();
      theme.disconnect();
      dark.removeEventListener("change", repaint);
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);

  useEffect(() => plot.current?.setData(points), [points]);

  return html`
    <figure class="chart">
      <figcaption>
        ${title}
        <span class="keys">
          ${series.map(
            ({ label, swatch }, index) =>
              html`<span class=${`key key-${swatch}`}>${label}: ${newest(points[index + 1], show)}</span>`,
          )}
        </span>
      </figcaption>
      <div class="canvas" ref=${place} aria-hidden="true"></div>
    </figure>
  `;
}

function newest(values, show) {
  const value = values?.at(-1);
  return value === null || value === undefined ? "–" : show(value);
}

const sizeOf = (element) => ({
  width: Math.max(element.clientWidth, 120),
  height: Math.max(element.clientHeight, 100),
});

/** The colour of a class as the theme has it now: a canvas knows no custom properties. */
function colour(within, name) {
  const probe = document.createElement("span");
  probe.className = name;
  within.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** At least half a minute, so that the first readings are no line across the whole chart. */
function span(seconds) {
  const end = seconds.at(-1) ?? Date.now() / 1000;
  return [Math.min(seconds[0] ?? end, end - LEAST_SECONDS), end];
}

function options(place, series, latest, whole) {
  const axis = {
    stroke: colour(place, "swatch-axis"),
    font: AXIS_FONT,
    grid: { stroke: colour(place, "swatch-grid"), width: 1 },
    ticks: { show: false },
  };
  return {
    ...sizeOf(place),
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { points: { show: false }, drag: { x: false, y: false } },
    scales: {
      x: { time: true, range: () => span(latest.current.points[0]) },
      y: { range: (_, low, high) => [0, Math.max(high * 1.15, 1)] },
    },
    axes: [
      { ...axis, space: 90, size: 26, values: (_, ticks) => ticks.map((tick) => time(tick * 1000)) },
      {
        ...axis,
        size: 80,
        ...(whole ? { incrs: WHOLE_STEPS } : {}),
        values: (_, ticks) => ticks.map((tick) => latest.current.show(tick)),
      },
    ],
    series: [
      {},
      ...series.map(({ label, swatch }) => ({
        label,
        width: 1.6,
        stroke: colour(place, `swatch-${swatch}`),
        points: { show: false },
      })),
    ],
  };
}
