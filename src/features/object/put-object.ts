/** PUT Object: stores a body under a key, in one request. */

import { group } from "../../operations/input-fields.ts";
import { operation } from "../../operations/operation.ts";
import { WRITE_CONDITION_ERRORS, writeConditionFields } from "./model.ts";
import { NEW_OBJECT_ERRORS, newObjectFields, newObjectOutput, storeNew } from "./store-object.ts";

export const putObject = operation(
  {
    name: "PutObject",
    summary: "Stores an object in one request.",
    route: { method: "PUT", on: "object" },
    action: "name/cos:PutObject",
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    uploads: true,
    input: { ...newObjectFields, conditions: group(writeConditionFields) },
    output: newObjectOutput,
    status: 200,
    errors: [...NEW_OBJECT_ERRORS, ...WRITE_CONDITION_ERRORS],
  },
  async (context, input) => await storeNew(context, input, input.conditions),
);
