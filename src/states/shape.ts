/** The shape of a change of state, in JSON and in the library. */

import * as z from "zod";
import { ACCOUNT_STATES, BUCKET_STATES, OBJECT_STATES, SERVER_STATES } from "./state.ts";

const account = z.string().regex(/^[1-9][0-9]{4,19}$/, "the UIN of a root account, 5 to 20 digits");
const bucket = z.string().min(1).max(255).describe("whole name of a bucket, such as demo-1250000000");
const key = z.string().min(1).max(1600);
const of = <const Names extends readonly [string, ...string[]]>(names: Names) => z.enum(["active", ...names]);

/** Who or what is put into which state; `active` into none. */
export const STATE_CHANGE = z.union(
  [
    z.strictObject({ account, state: of(ACCOUNT_STATES) }),
    z.strictObject({ bucket, key, state: of(OBJECT_STATES) }),
    z.strictObject({ bucket, state: of(BUCKET_STATES) }),
    z.strictObject({ state: of(SERVER_STATES) }),
  ],
  `account with one of ${ACCOUNT_STATES.join(", ")}; bucket with ${BUCKET_STATES.join(" or ")}; bucket and key with ${OBJECT_STATES[0]}; none of them, for the server, with ${SERVER_STATES[0]}; any of them with active`,
);
