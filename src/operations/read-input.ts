/** From a request to an operation's typed input, by its declaration. */

import { refuse } from "../errors/cos-error.ts";
import type { InputFields, InputSource, Operation } from "./operation.ts";
import { refuseMisplaced, refuseUnbuiltInputs, refuseVersion } from "./unbuilt-inputs.ts";

/** An operation prepared for reading, so that nothing of a declaration is looked at twice. */
export interface InputReader {
  /**
   * Reads headers and query first, in the order of the declaration, and the body last, so that a refusal comes before
   * any byte of it. Raises what the fields raise, NotImplemented for inputs of unbuilt features, InvalidArgument for a
   * version where the operation is about none, SSEHeaderNotAllowed and InvalidArgument for headers about encryption and locks
   * where it takes none, and
   * UnexpectedContent for a body where it takes none.
   */
  read(source: InputSource): Promise<Readonly<Record<string, unknown>>>;
}

function wireNames(fields: InputFields): string[] {
  return Object.values(fields).flatMap((field) =>
    field.fields === undefined ? [field.name.toLowerCase()] : wireNames(field.fields),
  );
}

/** Prepares the reader of one operation. */
export function inputReader(operation: Operation): InputReader {
  const fields: InputFields = operation.input;
  const entries = Object.entries(fields).toSorted(
    ([, a], [, b]) => Number(a.from === "body") - Number(b.from === "body"),
  );
  const takesBody = entries.some(([, field]) => field.from === "body");
  const declared: ReadonlySet<string> = new Set(wireNames(fields));
  return {
    async read(source) {
      // What a browser asks ahead carries the query of the request to come.
      if (operation.preflight !== true) {
        refuseUnbuiltInputs(source.request, declared);
        refuseVersion(source.request, declared);
        refuseMisplaced(source.request, declared);
      }
      if (!takesBody && source.request.body.announced) throw refuse("UnexpectedContent");
      const input: Record<string, unknown> = {};
      for (const [name, field] of entries) {
        const value = field.read(source);
        input[name] = value instanceof Promise ? await value : value;
      }
      return input;
    },
  };
}
