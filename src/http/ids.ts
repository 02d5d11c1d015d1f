/** The ids of requests, in the form the live service gives them. */

import type { Random } from "../ports/random.ts";
import type { RequestIds } from "./request.ts";

const TRACE_BYTES = 64;

/**
 * Makes the ids of one server. A request id is Base64 of `<hex8 unix seconds>_<hex8>_<hex5>_<hex sequence>`: where the
 * live service tells its address and process we put random digits, so that an id tells nothing of the machine and two
 * servers never make the same one. It begins with `N`, as any time from 2004 to 2038 does.
 * @returns Makes the next ids, for a request that arrived at `nowMs`, milliseconds since 1970.
 */
export function requestIds(random: Random): (nowMs: number) => RequestIds {
  const server = random.bytes(4).toString("hex");
  const run = random.bytes(3).toString("hex").slice(0, 5);
  let sequence = 0;
  let prefixSecond = Number.NaN;
  let prefix = "";
  return (nowMs) => {
    const second = Math.floor(nowMs / 1000);
    if (second !== prefixSecond) {
      prefixSecond = second;
      // 24 characters, a multiple of three: Base64 of the whole is this followed by Base64 of the sequence.
      prefix = base64(`${(second >>> 0).toString(16).padStart(8, "0")}_${server}_${run}_`);
    }
    sequence += 1;
    return new Ids(prefix + base64(sequence.toString(16)), random);
  };
}

class Ids implements RequestIds {
  readonly requestId: string;
  readonly #random: Random;
  #traceId: string | undefined;

  constructor(requestId: string, random: Random) {
    this.requestId = requestId;
    this.#random = random;
  }

  get traceId(): string {
    this.#traceId ??= base64(this.#random.bytes(TRACE_BYTES).toString("hex"));
    return this.#traceId;
  }
}

function base64(ascii: string): string {
  return Buffer.from(ascii, "latin1").toString("base64");
}
