// The kinds of resources: what they are called, their defaults, and what of them is written into a file.

export const LISTED = ["certificates", "ca-certificates", "security-policies", "server-groups", "listeners"];

export const NOUNS = {
  listeners: "listener",
  "server-groups": "server group",
  certificates: "certificate",
  "ca-certificates": "CA certificate",
  "security-policies": "security policy",
};

export const DEFAULT_POLICY = "tls_cipher_policy_1_2_strict_with_1_3";

export const LISTENER_DEFAULTS = {
  address: "0.0.0.0",
  port: null,
  port_range: null,
  certificate: null,
  additional_certificates: [],
  strict_sni: false,
  ca_certificate: null,
  client_certificate: null,
  security_policy: DEFAULT_POLICY,
  alpn_policy: null,
  alpn_strict: false,
  idle_timeout: 900,
  handshake_timeout: 10,
  connect_timeout: 5,
  cps: 0,
  max_connections: 0,
  mss: 0,
  proxy_protocol: null,
  accept_proxy_protocol: null,
  tags: {},
  enabled: true,
};

export const HEALTH_DEFAULTS = {
  enabled: true,
  type: "TCP",
  connect_port: 0,
  connect_timeout: 5,
  interval: 5,
  healthy_threshold: 2,
  unhealthy_threshold: 2,
  domain: null,
  url: "/",
  http_codes: ["http_2xx"],
  method: "GET",
  http_version: "HTTP1.0",
  proxy_protocol: false,
};

export const GROUP_DEFAULTS = {
  protocol: "TCP",
  scheduler: "wrr",
  any_port: false,
  preserve_client_ip: false,
  connection_drain_timeout: null,
  health_check: HEALTH_DEFAULTS,
  servers: [],
  tags: {},
};

export const same = (left, right) => stable(left) === stable(right);

/** JSON with sorted keys, so that the order of keys makes no difference. */
function stable(value) {
  if (Array.isArray(value)) return `[${value.map(stable).join()}]`;
  if (value !== null && typeof value === "object") {
    return `{${Object.keys(value)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${stable(value[key])}`)
      .join()}}`;
  }
  return JSON.stringify(value) ?? "null";
}

/** Without what is as by default, and without what only the API says. */
export function lean(resource, defaults) {
  const kept = Object.entries(resource).filter(
    ([key, value]) => !["etag", "state", "change"].includes(key) && !(key in defaults && same(value, defaults[key])),
  );
  return Object.fromEntries(kept.map(([key, value]) => [key, deeper(value, defaults[key])]));
}

function deeper(value, defaults) {
  const both = [value, defaults].every((each) => each && typeof each === "object" && !Array.isArray(each));
  return both ? lean(value, defaults) : value;
}

const CLIENT_AUTH = "client_certificate";

/** Of each kind, what a file says of it.  Files of certificates are called as the certificate. */
export const CREATED = {
  listeners(listener) {
    const said = lean(listener, LISTENER_DEFAULTS);
    if (said[CLIENT_AUTH] === "required") delete said[CLIENT_AUTH];
    return { name: said.name, protocol: said.protocol, ...said };
  },
  "server-groups": (group) => ({ name: group.name, ...lean(group, GROUP_DEFAULTS) }),
  "security-policies": ({ name, tls_versions, ciphers, groups }) =>
    lean({ name, tls_versions, ciphers, groups: groups ?? [] }, { groups: [] }),
  certificates: ({ name }) => ({ name, certificate: `${name}.pem`, private_key: `${name}.key` }),
  "ca-certificates": ({ name, crl_pem: crl, verify_depth: depth = 4 }) =>
    lean(
      { name, certificate: `${name}.pem`, crl: crl ? `${name}.crl` : null, verify_depth: depth },
      { crl: null, verify_depth: 4 },
    ),
};
