// A server group as its form has it, and as the API has it.

import { GROUP_DEFAULTS, HEALTH_DEFAULTS } from "../kinds.js";
import { wholeNumber } from "./form.js";
import { emptyServer, filledServers, serverOf, serverRow, tagRows, tagsOf } from "./rows.js";

const HEALTH_NUMBERS = ["connect_port", "connect_timeout", "interval", "healthy_threshold", "unhealthy_threshold"];
const HTTP_ONLY = ["domain", "url", "http_codes", "method", "http_version"];

export const newGroup = () => ({ ...fromGroup({ ...GROUP_DEFAULTS, name: "" }), servers: [emptyServer()] });

export function fromGroup(group) {
  const full = { ...GROUP_DEFAULTS, ...group };
  const health = { ...HEALTH_DEFAULTS, ...full.health_check };
  return {
    name: full.name,
    protocol: full.protocol,
    scheduler: full.scheduler,
    any_port: full.any_port,
    preserve_client_ip: full.preserve_client_ip,
    connection_drain_timeout: full.connection_drain_timeout === null ? "" : String(full.connection_drain_timeout),
    check: !health.enabled ? "off" : health.type,
    ...Object.fromEntries(HEALTH_NUMBERS.map((key) => [key, String(health[key])])),
    domain: health.domain ?? "",
    url: health.url,
    http_codes: health.http_codes,
    method: health.method,
    http_version: health.http_version,
    probe_proxy: health.proxy_protocol,
    servers: full.servers.map(serverRow),
    tags: tagRows(full.tags),
  };
}

export function toGroup(values) {
  return {
    name: values.name.trim(),
    protocol: values.protocol,
    scheduler: values.scheduler,
    any_port: values.any_port,
    preserve_client_ip: values.preserve_client_ip,
    connection_drain_timeout: wholeNumber(values.connection_drain_timeout) ?? null,
    health_check: healthOf(values),
    servers: filledServers(values.servers).map((row) => serverOf(values.any_port ? { ...row, port: "" } : row)),
    tags: tagsOf(values.tags),
  };
}

/** What is for HTTP only is left as by default for the others, where it would be refused. */
function healthOf(values) {
  if (values.check === "off") return { ...HEALTH_DEFAULTS, enabled: false };
  const numbers = HEALTH_NUMBERS.map((key) => [key, wholeNumber(values[key]) ?? HEALTH_DEFAULTS[key]]);
  const http =
    values.check === "HTTP"
      ? HTTP_ONLY.map((key) => [key, values[key] === "" ? HEALTH_DEFAULTS[key] : values[key]])
      : [];
  return {
    ...HEALTH_DEFAULTS,
    type: values.check,
    proxy_protocol: values.probe_proxy,
    ...Object.fromEntries([...numbers, ...http]),
  };
}
