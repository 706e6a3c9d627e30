// Creating and changing resources from dialogs; where nothing can be changed, the YAML to write is shown instead.

import { at, patch, post } from "../api.js";
import { readOnlyReason } from "../session.js";
import { yamlOf } from "../yaml.js";
import { showYaml } from "./bits.js";

/** True when it was shown. */
export function shownInstead(kind, resource) {
  const why = readOnlyReason();
  if (why) showYaml(why, yamlOf([{ kind, resource }]));
  return Boolean(why);
}

/** The resource that was made of `body`, or that was there before with `body` laid over it; null when nothing was. */
export async function write(kind, body, { key, replaces = null }) {
  if (shownInstead(kind, replaces ? { ...replaces, ...body } : body)) return null;
  if (replaces === null) return post(`/${kind}`, body, { key });
  return patch(at(kind, replaces.name), body, { ifMatch: replaces.etag, key });
}
