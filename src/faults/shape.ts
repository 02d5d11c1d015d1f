/** The shape of a fault as people write it, in JSON, in YAML and in the library. */

import * as z from "zod";
import { CATALOGUE, type ErrorId } from "../errors/catalogue.ts";
import { refuse } from "../errors/cos-error.ts";
import type { FaultRequest } from "./fault.ts";

const IDS = Object.keys(CATALOGUE) as [ErrorId, ...ErrorId[]];
const BYTES_MAX = Number.MAX_SAFE_INTEGER;
const DELAY_MS_MAX = 3_600_000;

const TIMES = z.union([
  z.strictObject({ first: z.int().min(1) }),
  z.strictObject({ every: z.int().min(1) }),
  z.strictObject({ probability: z.number().min(0).max(1), seed: z.int().default(1) }),
]);

/** One fault. `id` is made where it is left out. */
export const FAULT = z
  .strictObject({
    id: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,64}$/, "1 to 64 letters, digits, - or _")
      .optional(),
    match: z
      .strictObject({
        operation: z.string().optional(),
        bucket: z.string().optional(),
        keyPrefix: z.string().optional(),
        caller: z.string().optional(),
      })
      .default({}),
    times: TIMES.optional(),
    delayMs: z.int().min(0).max(DELAY_MS_MAX).optional(),
    error: z.enum(IDS, "the id of a row of the catalogue: GET /v1/errors lists them").optional(),
    phase: z.enum(["before", "during", "after"]).optional(),
    bytesPerSecond: z.int().min(1).max(BYTES_MAX).optional(),
    cutAfterBytes: z.int().min(0).max(BYTES_MAX).optional(),
  })
  .refine(
    ({ delayMs, error, bytesPerSecond, cutAfterBytes }) =>
      [delayMs, error, bytesPerSecond, cutAfterBytes].some((effect) => effect !== undefined),
    "a fault does something: error, delayMs, bytesPerSecond or cutAfterBytes",
  )
  .refine(({ phase, error }) => phase === undefined || error !== undefined, "phase says when an error happens");

/** What is not right about a fault, or a list of them; `what` names it. */
export function faultTrouble(error: z.ZodError, what: string): string {
  return error.issues.map(({ path, message }) => `${[what, ...path].join(".")}: ${message}`).join("; ");
}

/** The fault of a header `x-cosbox-fault`: the id of an error alone, or a fault as JSON. Raises InvalidArgument. */
export function faultOfHeader(header: string): FaultRequest {
  let value: unknown = { error: header.trim() };
  if (header.trimStart().startsWith("{")) {
    try {
      value = JSON.parse(header);
    } catch (error) {
      throw refuse("InvalidArgument", { message: `x-cosbox-fault is no JSON: ${(error as Error).message}` });
    }
  }
  const checked = FAULT.safeParse(value);
  if (!checked.success) throw refuse("InvalidArgument", { message: faultTrouble(checked.error, "x-cosbox-fault") });
  return withoutUndefined(checked.data);
}

/** The same fault without the fields that say nothing. */
export function withoutUndefined(fault: z.output<typeof FAULT>): FaultRequest {
  return JSON.parse(JSON.stringify(fault)) as FaultRequest;
}
