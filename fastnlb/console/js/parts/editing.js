// Editing a resource that others may edit as well: only what was changed is sent, and only onto what was read.

import { at, get, patch } from "../api.js";
import { mergePatch } from "../diff.js";
import { useRef, useState } from "../lib.js";
import { shownInstead } from "./writing.js";

/** {base, conflict, save, take, reapply, dismiss}.  `base`: what the form is a change of.
 *
 *  `read`: the resource when editing began.  `plain(resource)`: it as the form would send it.  `mine()`: what the form
 *  says now.  `sending`: of the form.  `onSaved(resource)`, `onTaken(resource)`: theirs is to be shown instead.
 */
export function useEditing({ kind, read, plain, mine, sending, onSaved, onTaken }) {
  const base = useRef(read);
  const [conflict, setConflict] = useState(null);

  async function send(onto) {
    const change = mergePatch(plain(base.current), mine());
    if (shownInstead(kind, { ...mine(), name: read.name })) return;
    try {
      onSaved(
        await patch(at(kind, read.name), change, { ifMatch: onto.etag, key: sending.keyFor([change, onto.etag]) }),
      );
    } catch (error) {
      if (!error.conflict) throw error;
      const theirs = error.current ?? (await get(at(kind, read.name)));
      setConflict({ base: plain(base.current), theirs: plain(theirs), mine: mine(), now: theirs });
    }
  }

  return {
    base: base.current,
    conflict,
    save: () => sending.run(() => send(base.current)),
    dismiss: () => setConflict(null),
    take() {
      base.current = conflict.now;
      setConflict(null);
      onTaken(conflict.now);
    },
    reapply() {
      const { now } = conflict;
      setConflict(null);
      return sending.run(() => send(now));
    },
  };
}
