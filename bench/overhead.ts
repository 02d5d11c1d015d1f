/**
 * `npm run overhead`: what decision records and counters, and a bucket policy of twenty statements, add to a
 * signed GET and PUT of 4 KiB. The whole path of a request without sockets, over the memory engines, each variant in turn
 * many times within one run; the median counts. Without sockets a request costs half, so the ratios are upper bounds.
 */

import { rootCredential } from "../src/access/caller.ts";
import { addressingRules } from "../src/addressing/address.ts";
import { recorder } from "../src/diagnose/recorder.ts";
import { tally } from "../src/diagnose/tally.ts";
import { cosDialect, signCos } from "../src/dialects/cos/index.ts";
import { memoryBlobs } from "../src/engines/blobs/memory.ts";
import { systemClock } from "../src/engines/clock/system.ts";
import { memoryMetadata } from "../src/engines/metadata/memory.ts";
import { systemRandom } from "../src/engines/random/system.ts";
import type { Handler } from "../src/http/answer.ts";
import { readHeaders } from "../src/http/headers.ts";
import { pipeline, type PipelineParts } from "../src/http/pipeline.ts";
import { parseTarget } from "../src/http/target.ts";
import { LIMITS } from "../src/limits.ts";
import { TABLE } from "../src/operations/table.ts";
import { openStore } from "../src/store/store.ts";

const REGION = "ap-guangzhou";
const ACCOUNT = { secretId: "AKIDbench", secretKey: "bench-secret", uin: "100000000001", appid: "1250000000" };
/** A sub-user, whom nothing but the policy allows anything. */
const USER = { secretId: "AKIDuser", secretKey: "user-secret", uin: ACCOUNT.uin, appid: ACCOUNT.appid };
const BODY = Buffer.alloc(4096, 7);
const ROUNDS = 15;
const REQUESTS = 4_000;

const clock = systemClock();
const random = systemRandom();
const store = await openStore({ metadata: memoryMetadata(), blobs: memoryBlobs({ random }), clock, random });
const root = rootCredential(ACCOUNT);
const user = { ...rootCredential(USER), user: "100000000002" };
const credentials = new Map([
  [root.secretId, root],
  [user.secretId, user],
]);

function server(parts: Partial<PipelineParts> = {}): Handler {
  return pipeline({
    dialects: [
      cosDialect({
        rules: addressingRules({ regions: [REGION], suffixes: ["myqcloud.com"] }),
        keys: (secretId) => credentials.get(secretId),
        clock,
        errors: "documented",
        strictSigning: false,
        signSkewMs: LIMITS.signSkewMs,
      }),
    ],
    table: TABLE,
    store,
    clock,
    random,
    installation: { region: REGION, limits: LIMITS },
    onFault(error) {
      throw error;
    },
    ...parts,
  });
}

interface Asked {
  readonly method: string;
  readonly bucket: string;
  readonly path: string;
  readonly query?: string;
  readonly body?: Buffer;
  readonly by?: { readonly secretId: string; readonly secretKey: string };
}

let sequence = 0;

async function ask(handler: Handler, { method, bucket, path, query = "", body, by = ACCOUNT }: Asked): Promise<number> {
  const host = `${bucket}.cos.${REGION}.myqcloud.com`;
  const now = Math.floor(clock.now() / 1000);
  const { authorization } = signCos({
    ...by,
    method,
    path,
    query: query === "" ? [] : [[query, ""]],
    headers: [["host", host]],
    signTime: `${now - 60};${now + 600}`,
  });
  const fields = ["Host", host, "Authorization", authorization, "User-Agent", "bench"];
  if (body !== undefined) fields.push("Content-Length", String(body.length));
  sequence += 1;
  const answer = await handler({
    method,
    target: parseTarget(method, query === "" ? path : `${path}?${query}`, host),
    headers: readHeaders(fields, LIMITS.headersMax),
    body: {
      declaredLength: body?.length,
      chunked: false,
      announced: body !== undefined,
      async *stream() {
        if (body !== undefined) yield body;
      },
      collect: async () => body ?? Buffer.alloc(0),
    },
    ids: { requestId: `N${sequence}`, traceId: "N" },
    secure: false,
    tlsVersion: undefined,
    remoteAddress: "127.0.0.1",
    receivedAt: clock.now(),
  });
  if (answer.body !== undefined && typeof answer.body !== "string" && !Buffer.isBuffer(answer.body)) {
    for await (const _ of answer.body.chunks);
  }
  return answer.status;
}

/** Microseconds of processor time for each request, the median of the rounds, of each variant. */
async function measured(variants: readonly (() => Promise<number>)[]): Promise<readonly number[]> {
  const times = variants.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [at, once] of variants.entries()) {
      const before = process.cpuUsage();
      for (let count = 0; count < REQUESTS; count++) {
        const status = await once();
        if (status !== 200) throw new Error(`answered with ${status}`);
      }
      const { user: inUser, system } = process.cpuUsage(before);
      times[at]?.push((inUser + system) / REQUESTS);
    }
  }
  return times.map((all) => all.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] as number);
}

function told(name: string, [plain = 0, more = 0]: readonly number[]): void {
  const ratio = (more / plain).toFixed(3);
  process.stdout.write(`${name}: ${plain.toFixed(1)} µs without, ${more.toFixed(1)} µs with, ratio ${ratio}\n`);
}

const plain = server();
const records = recorder({ clock, log: undefined, recentMax: LIMITS.recordsInMemory, refusalsPerSecond: 100 });
const counted = tally();
const recording = server({
  onAnswer(request, answer, outcome) {
    records.take(request, answer, outcome.refusal, outcome);
    counted.take(request, answer, outcome.refusal, outcome);
  },
});

const [open, ruled] = ["open-1250000000", "ruled-1250000000"];
for (const bucket of [open, ruled]) {
  await ask(plain, { method: "PUT", bucket, path: "/" });
  await ask(plain, { method: "PUT", bucket, path: "/a", body: BODY });
}
// Nineteen statements that do not match, each for a reason that is found late, and the one that allows.
const statement = (at: number, prefix: string, address: string) => ({
  effect: "allow",
  principal: { qcs: [`qcs::cam::uin/${ACCOUNT.uin}:uin/${user.user}`] },
  action: ["name/cos:GetObject", "name/cos:PutObject"],
  resource: [`qcs::cos:${REGION}:uid/${ACCOUNT.appid}:${ruled}/${prefix}`],
  condition: { ip_equal: { "qcs:ip": [address] } },
  sid: `s${at}`,
});
const policy = {
  version: "2.0",
  statement: Array.from({ length: 20 }, (_, at) =>
    at === 19 ? statement(at, "*", "127.0.0.0/8") : statement(at, "*", `10.${at}.0.0/16`),
  ),
};
const put = await ask(plain, {
  method: "PUT",
  bucket: ruled,
  path: "/",
  query: "policy",
  body: Buffer.from(JSON.stringify(policy)),
});
if (put !== 200 && put !== 204) throw new Error(`the policy was answered with ${put}`);

const get = (handler: Handler, bucket: string, by = ACCOUNT) => ask(handler, { method: "GET", bucket, path: "/a", by });
const store4k = (handler: Handler) => ask(handler, { method: "PUT", bucket: open, path: "/b", body: BODY });

told("records and counters, GET 4 KiB", await measured([() => get(plain, open), () => get(recording, open)]));
told("records and counters, PUT 4 KiB", await measured([() => store4k(plain), () => store4k(recording)]));
told("policy of 20 statements, GET 4 KiB", await measured([() => get(plain, open), () => get(plain, ruled, USER)]));
await store.close();
