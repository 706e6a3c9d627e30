// A listener as the form has it (text, and choices the API has no word for) and as the API has it.

import { LISTENER_DEFAULTS } from "../kinds.js";
import { present, wholeNumber, words } from "./form.js";
import { tagRows, tagsOf } from "./rows.js";

const PLAIN = ["protocol", "address", "server_group", "security_policy", "strict_sni", "enabled"];
const NUMBERS = ["idle_timeout", "handshake_timeout", "connect_timeout", "cps", "max_connections", "mss"];
const IDS = ["vpc_id", "ep_id", "eps_id"];

/** The fields of each step, by the first word of the API's paths. */
export const STEP_FIELDS = [
  [
    "name",
    "protocol",
    "address",
    "port",
    "port_range",
    "tags",
    ...NUMBERS,
    "proxy_protocol",
    "accept_proxy_protocol",
    "alpn_policy",
    "alpn_strict",
    "enabled",
  ],
  ["certificate", "additional_certificates", "strict_sni", "ca_certificate", "client_certificate", "security_policy"],
  ["server_group"],
];

export const newListener = () =>
  fromListener({ ...LISTENER_DEFAULTS, name: "", protocol: "TCPSSL", server_group: "" });

export function fromListener(listener) {
  const full = { ...LISTENER_DEFAULTS, ...listener };
  const [first = "", last = ""] = full.port_range ?? [];
  return {
    ...Object.fromEntries(PLAIN.map((key) => [key, full[key]])),
    ...Object.fromEntries(NUMBERS.map((key) => [key, String(full[key])])),
    name: full.name,
    ports: full.port_range ? "range" : "one",
    port: full.port ? String(full.port) : "",
    first: String(first),
    last: String(last),
    tags: tagRows(full.tags),
    certificate: full.certificate ?? "",
    additional_certificates: full.additional_certificates,
    mutual: full.ca_certificate !== null,
    ca_certificate: full.ca_certificate ?? "",
    client_certificate: full.client_certificate ?? "required",
    alpn_policy: full.alpn_policy ?? "",
    alpn_strict: full.alpn_strict,
    proxy: full.proxy_protocol !== null,
    tlvs: full.proxy_protocol?.tlvs ?? [],
    ...Object.fromEntries(IDS.map((key) => [key, full.proxy_protocol?.[key] ?? ""])),
    accept: full.accept_proxy_protocol !== null,
    trusted: (full.accept_proxy_protocol?.trusted ?? []).join(" "),
  };
}

export const nameSuggestion = ({ protocol, ports, port, first }) =>
  `${protocol === "TCPSSL" ? "tls" : "tcp"}-${(ports === "range" ? first : port).trim() || "new"}`.replace(
    /[^A-Za-z0-9._-]/g,
    "",
  );

/** As the API takes it, with every key, so that a default that is chosen again is said too. */
export function toListener(values) {
  const tls = values.protocol === "TCPSSL";
  return {
    name: values.name.trim() || nameSuggestion(values),
    ...Object.fromEntries(PLAIN.map((key) => [key, values[key]])),
    address: values.address.trim() || LISTENER_DEFAULTS.address,
    ...portsOf(values),
    ...Object.fromEntries(NUMBERS.map((key) => [key, wholeNumber(values[key]) ?? LISTENER_DEFAULTS[key]])),
    tags: tagsOf(values.tags),
    ...(tls ? tlsOf(values) : TLS_OFF),
    proxy_protocol: values.proxy ? proxyOf(values, tls) : null,
    accept_proxy_protocol: values.accept ? { trusted: words(values.trusted) } : null,
  };
}

function portsOf({ ports, port, first, last }) {
  if (ports === "one") return { port: wholeNumber(port) ?? null, port_range: null };
  return { port: null, port_range: [wholeNumber(first) ?? null, wholeNumber(last) ?? null] };
}

const TLS_KEYS = [...STEP_FIELDS[1], "alpn_policy", "alpn_strict"];
const TLS_OFF = Object.fromEntries(TLS_KEYS.map((key) => [key, LISTENER_DEFAULTS[key]]));

function tlsOf(values) {
  return {
    certificate: values.certificate || null,
    additional_certificates: values.additional_certificates,
    strict_sni: values.strict_sni,
    ca_certificate: values.mutual ? values.ca_certificate || null : null,
    client_certificate: values.mutual && values.ca_certificate ? values.client_certificate : null,
    security_policy: values.security_policy,
    alpn_policy: values.alpn_policy || null,
    alpn_strict: values.alpn_policy ? values.alpn_strict : false,
  };
}

function proxyOf(values, tls) {
  const tlvs = values.tlvs.filter((each) => tls || each === "crc32c");
  return {
    version: 2,
    tlvs,
    ...present(Object.fromEntries(IDS.map((key) => [key, values[key].trim() || undefined]))),
  };
}

/** What the form can see is wrong and the API cannot: mutual authentication without an authority is none to it. */
export function ownErrors(values) {
  if (values.protocol === "TCPSSL" && values.mutual && !values.ca_certificate) {
    return [
      {
        path: "ca_certificate",
        message:
          "Choose the authority that clients' certificates have to come from, or switch mutual authentication off.",
      },
    ];
  }
  return [];
}
