// The commands that do what the console does.

import { session } from "./session.js";

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** One command; `body` is what it sends. */
export function curlOf(method, path, body) {
  return [
    `curl -X ${method} ${quote(`${location.origin}/api/v1${path}`)}`,
    ...headers(),
    `  -d ${quote(JSON.stringify(body))}`,
  ].join(" \\\n");
}

/** A certificate from files: what the key's text was is not known here any more. */
export function curlOfCertificate(name) {
  const program = "{name: $n, certificate_pem: $c, private_key_pem: $k}";
  const made = `jq -n --arg n ${name} --rawfile c ${name}.pem --rawfile k ${name}.key ${quote(program)}`;
  return [`${made} |`, `  curl -X POST ${quote(`${location.origin}/api/v1/certificates`)}`, ...headers(), "  -d @-"]
    .join(" \\\n")
    .replace("| \\\n", "|\n");
}

function headers() {
  const bearer = session.get().hasToken ? ['  -H "Authorization: Bearer $FASTNLB_TOKEN"'] : [];
  return [...bearer, "  -H 'Content-Type: application/json'"];
}
