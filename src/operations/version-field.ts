/** `versionId`: which version of an object an operation is about. */

import { type VersionId, parseVersionId } from "../store/version-id.ts";
import { query } from "./input-fields.ts";
import type { InputField } from "./operation.ts";

const text = query.text("versionId", "a version id, or null");

/**
 * The version that a request names; undefined without one. An empty one counts as absent: coscli sends `versionId=` for
 * an object without versions. A text that is no version id names a version that no key has.
 */
export const versionIdField: InputField<VersionId | undefined> = {
  ...text,
  read(source) {
    const named = text.read(source) as string | undefined;
    return named === undefined || named === "" ? undefined : parseVersionId(named);
  },
};
