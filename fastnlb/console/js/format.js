// Numbers, times and addresses as the person's locale writes them.

const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const one = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const list = new Intl.ListFormat(undefined, { type: "conjunction" });

const UNITS = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];
const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export const number = (value) => (value === null || value === undefined ? "–" : whole.format(value));
export const compact = (value) => (value === null || value === undefined ? "–" : short.format(value));
export const dateTime = (text) => (text ? moment.format(new Date(text)) : "–");
export const date = (text) => (text ? day.format(new Date(text)) : "–");
export const time = (value) => clock.format(new Date(value));
export const names = (items) => list.format(items);
export const rate = (value) => `${one.format(value)}/s`;

/** 1536 as 1.5 KiB; `per` is written behind it. */
export function bytes(value, per = "") {
  const power = value < 1024 ? 0 : Math.min(Math.floor(Math.log2(value) / 10), BYTE_UNITS.length - 1);
  return `${one.format(value / 1024 ** power)} ${BYTE_UNITS[power]}${per}`;
}

/** "in 3 months", "2 hours ago". */
export function fromNow(text) {
  const seconds = (new Date(text).getTime() - Date.now()) / 1000;
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
  }
  return relative.format(Math.trunc(seconds), "second");
}

export function duration(seconds) {
  for (const [unit, length] of UNITS) {
    if (seconds >= length) return unitText(Math.floor(seconds / length), unit);
  }
  return unitText(Math.floor(seconds), "second");
}

function unitText(value, unit) {
  return new Intl.NumberFormat(undefined, { style: "unit", unit, unitDisplay: "long" }).format(value);
}

export const plural = (count, word, many = `${word}s`) => `${number(count)} ${count === 1 ? word : many}`;

const bracketed = (address) => (address.includes(":") && !address.startsWith("unix:") ? `[${address}]` : address);

/** 0.0.0.0:443, [::]:20000-20099. */
export function endpoint({ address, port, port_range: range }) {
  return `${bracketed(address)}:${range ? `${range[0]}-${range[1]}` : port}`;
}

/** How the API calls a server of a group. */
export function serverName({ address, port }) {
  return port ? `${bracketed(address)}:${port}` : address;
}

/** Whether clients have to show a certificate, of a listener that asks them: left out means yes. */
export const asked = (listener) => listener.client_certificate ?? "required";
