/**
 * The generator: a process of its own that sends the requests of one row after the other and checks every answer.
 * Requests are made and signed before the clock starts, as many as a short warm-up says will be needed; what goes
 * beyond is signed while the clock runs, and counted.
 */

import { createHash, randomBytes, randomInt } from "node:crypto";
import {
  type Ask,
  completion,
  type Credentials,
  type DialectName,
  entriesOf,
  expectedStatus,
  headWriter,
  PAGE_KEYS,
} from "./dialects.ts";
import { KEYS_IN_PREFIX, listedKey } from "./listed-keys.ts";
import { type RawAnswer, RawClient, type RawRequest } from "./raw-client.ts";

/** Where a row's requests go. */
export interface Aim {
  readonly host: string;
  readonly port: number;
  readonly dialect: DialectName;
  readonly credentials: Credentials;
  readonly bucket: string;
}

export type Op =
  | "make-bucket"
  | "fill"
  | "fill-listed"
  | "put"
  | "put-listed"
  | "get"
  | "head"
  | "delete"
  | "mixed"
  | "list"
  | "list-grouped"
  | "multipart";

export interface Work {
  readonly op: Op;
  /** Bytes of a body; of the whole object for `multipart`, a multiple of 8 MiB. */
  readonly size: number;
  readonly concurrency: number;
  /** Length of the measured time; `fill`, `fill-listed` and `delete` end with their keys. */
  readonly seconds: number;
  /** Keys that are there: of this size for `get`, `head` and `mixed`, in the bucket for lists; to be made for `fill`. */
  readonly keys: number;
}

export interface Measured {
  readonly answers: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** Bytes of bodies per second. */
  readonly bytesPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Share of one processor that the generator used. */
  readonly generatorCpu: number;
  /** Requests signed while the clock ran. */
  readonly signedLate: number;
  /** Why the row does not count; undefined when every answer was right. */
  readonly fault?: string;
}

const WARM_UP_SECONDS = 0.3;
const PREPARED_MAX = 100_000;
/** Requests between the put and the delete of one key in the mixed row; ends in 1 or 2, so that it meets a put. */
const DELETED_BEHIND = 1001;
/** The parts of the multipart row. */
const PART_BYTES = 8 * 1024 * 1024;

/** Keys to read and delete: no order that a tree could profit from, and the same in every process. */
function filledKey(size: number, index: number): string {
  return createHash("sha1").update(`${size}/${index}`).digest("hex");
}

/** Bytes that do not compress, the same for each call. */
function bodyOf(size: number): Buffer {
  const block = Buffer.concat(
    Array.from({ length: Math.ceil(Math.min(size, 1 << 20) / 64) }, (_, at) =>
      createHash("sha512").update(`${at}`).digest(),
    ),
  );
  return Buffer.alloc(size, block.subarray(0, Math.max(1, Math.min(size, block.length))));
}

interface Prepared extends RawRequest {
  readonly ask: Ask;
  readonly status: number;
}

/** Endless requests of one row. */
function requests(aim: Aim, { op, size, keys }: Work): () => Prepared {
  const { bucket, dialect } = aim;
  const write = headWriter(dialect, `${aim.host}:${aim.port}`, aim.credentials);
  const body = op === "list" || op === "list-grouped" || op === "make-bucket" ? undefined : bodyOf(size);
  const run = randomBytes(4).toString("hex");
  let serial = 0;

  function ask(index: number): Ask {
    // Coprime with any number of keys that is used here: reads run through all keys in no order.
    const some = (index * 7919) % keys;
    switch (op) {
      case "make-bucket":
        return { kind: "make-bucket", bucket };
      case "fill":
        return { kind: "put", bucket, key: filledKey(size, index), length: size };
      case "fill-listed":
        return { kind: "put", bucket, key: listedKey(index), length: size };
      case "put-listed":
        return {
          kind: "put",
          bucket,
          key: `${listedKey(randomInt(keys))}-${randomBytes(4).toString("hex")}`,
          length: size,
        };
      case "put":
        return { kind: "put", bucket, key: `${randomBytes(8).toString("hex")}-${run}`, length: size };
      case "get":
      case "head":
        return { kind: op, bucket, key: filledKey(size, some) };
      case "delete":
        return { kind: "delete", bucket, key: filledKey(size, index) };
      case "mixed": {
        const made = (at: number) => createHash("sha1").update(`${run}/${at}`).digest("hex");
        const dice = index % 10;
        if (dice === 7 || dice === 8) return { kind: "put", bucket, key: made(index), length: size };
        // Deletes what was put a thousand requests ago: it is there for sure, with 64 requests under way.
        if (dice === 9 && index > DELETED_BEHIND) return { kind: "delete", bucket, key: made(index - DELETED_BEHIND) };
        return { kind: "get", bucket, key: filledKey(size, some) };
      }
      case "list": {
        const marker = dialect === "azure" || keys <= PAGE_KEYS ? undefined : listedKey(some % (keys - PAGE_KEYS));
        return { kind: "list", bucket, ...(marker === undefined ? {} : { marker }) };
      }
      case "list-grouped":
        return { kind: "list", bucket, delimiter: "/" };
      case "multipart":
        return { kind: "initiate", bucket, key: `${run}-${index}` };
    }
  }

  return () => {
    const index = serial++;
    const wanted = ask(index);
    return {
      ask: wanted,
      status: expectedStatus(dialect, wanted),
      head: write(wanted, index),
      body: wanted.kind === "put" ? body : undefined,
      expected: wanted.kind === "get" && dialect !== "plain" ? body : undefined,
      keep: wanted.kind === "list",
      bodiless: wanted.kind === "head",
    };
  };
}

/** What is wrong with an answer; undefined when nothing is. */
function faultOf(aim: Aim, work: Work, request: Prepared, answer: RawAnswer): string | undefined {
  if (answer.status !== request.status) return `${request.ask.kind} was answered with ${answer.status}: ${answer.head}`;
  if (!answer.same) return `${request.ask.kind} gave other bytes than were stored`;
  if (answer.document === undefined) return undefined;
  const grouped = work.op === "list-grouped";
  const wanted = Math.min(PAGE_KEYS, grouped ? Math.ceil(work.keys / KEYS_IN_PREFIX) : work.keys);
  const entries = entriesOf(aim.dialect, answer.document, grouped);
  return entries === wanted ? undefined : `a page showed ${entries} entries instead of ${wanted}`;
}

/** Sends requests on every client until `until` says so; each client sends its next when it has the answer. */
function drive(
  clients: readonly RawClient[],
  next: () => Prepared | undefined,
  check: (request: Prepared, answer: RawAnswer) => void,
): Promise<number[]> {
  const latencies: number[] = [];
  let open = clients.length;
  return new Promise((resolve, reject) => {
    for (const client of clients) {
      const step = (): void => {
        const request = next();
        if (request === undefined) {
          open -= 1;
          if (open === 0) resolve(latencies);
          return;
        }
        const sent = performance.now();
        client.send(
          request,
          (answer) => {
            latencies.push(performance.now() - sent);
            check(request, answer);
            step();
          },
          reject,
        );
      };
      step();
    }
  });
}

/** One whole upload in parts. Resolves with the first fault. */
async function upload(aim: Aim, client: RawClient, initiate: Prepared, size: number): Promise<string | undefined> {
  const { bucket, dialect } = aim;
  const { key } = initiate.ask as { readonly key: string };
  const write = headWriter(dialect, `${aim.host}:${aim.port}`, aim.credentials);
  let uploadId = "";
  if (dialect !== "azure") {
    const begun = await client.ask({ ...initiate, keep: true });
    uploadId = /<UploadId>([^<]+)</.exec(begun.document?.toString() ?? "")?.[1] ?? "";
    if (begun.status !== 200 || uploadId === "") return `an upload was begun with ${begun.status}`;
  }
  const body = bodyOf(PART_BYTES);
  const tags: string[] = [];
  for (let number = 1; number <= size / PART_BYTES; number++) {
    const ask: Ask = { kind: "part", bucket, key, length: PART_BYTES, uploadId, number };
    const answer = await client.ask({ head: write(ask, number), body });
    if (answer.status !== expectedStatus(dialect, ask)) return `a part was answered with ${answer.status}`;
    tags.push(/\r\netag: *([^\r]+)/i.exec(answer.head)?.[1] ?? "");
  }
  const document = completion(dialect, tags);
  const ask: Ask = { kind: "complete", bucket, key, length: document.length, uploadId };
  const answer = await client.ask({ head: write(ask, 0), body: document, keep: true });
  if (answer.status !== expectedStatus(dialect, ask)) return `an upload was completed with ${answer.status}`;
  return answer.document?.includes("<Error>") ? "an upload was completed with an error" : undefined;
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Runs one row against a server. Rejects when a connection breaks. */
export async function measure(aim: Aim, work: Work): Promise<Measured> {
  const clients = await Promise.all(
    Array.from({ length: work.concurrency }, () => RawClient.connect(aim.host, aim.port)),
  );
  try {
    return await measureWith(clients, aim, work);
  } finally {
    for (const client of clients) client.close();
  }
}

async function measureWith(clients: readonly RawClient[], aim: Aim, work: Work): Promise<Measured> {
  const make = requests(aim, work);
  let fault: string | undefined;
  const check = (request: Prepared, answer: RawAnswer) => {
    fault ??= faultOf(aim, work, request, answer);
  };
  const counted = work.op === "fill" || work.op === "fill-listed" || work.op === "delete" || work.op === "make-bucket";
  const prepared: Prepared[] = [];
  let signedLate = 0;

  if (counted) {
    const count = work.op === "make-bucket" ? 1 : work.keys;
    while (prepared.length < count) prepared.push(make());
  } else if (work.op !== "multipart") {
    const began = performance.now();
    const warm = await drive(
      clients,
      () => (performance.now() - began < WARM_UP_SECONDS * 1000 ? make() : undefined),
      check,
    );
    const rate = warm.length / ((performance.now() - began) / 1000);
    const wanted = Math.min(PREPARED_MAX, Math.ceil(rate * work.seconds * 2) + clients.length);
    while (prepared.length < wanted) prepared.push(make());
  }

  const cpu = process.cpuUsage();
  const began = performance.now();
  const ends = began + work.seconds * 1000;
  let at = 0;
  const next = (): Prepared | undefined => {
    if (fault !== undefined || (!counted && performance.now() >= ends)) return undefined;
    const ready = prepared[at++];
    if (ready !== undefined || counted) return ready;
    signedLate += 1;
    return make();
  };
  const latencies = work.op === "multipart" ? await uploads() : await drive(clients, next, check);
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);

  async function uploads(): Promise<number[]> {
    const times: number[] = [];
    await Promise.all(
      clients.map(async (client) => {
        for (let request = next(); request !== undefined; request = next()) {
          const since = performance.now();
          fault ??= await upload(aim, client, request, work.size);
          times.push(performance.now() - since);
        }
      }),
    );
    return times;
  }

  latencies.sort((a, b) => a - b);
  return {
    answers: latencies.length,
    seconds,
    perSecond: latencies.length / seconds,
    bytesPerSecond: (latencies.length * work.size) / seconds,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    generatorCpu: (user + system) / 1e6 / seconds,
    signedLate,
    ...(fault === undefined ? {} : { fault }),
  };
}

process.on("message", ({ aim, work }: { readonly aim: Aim; readonly work: Work }) => {
  measure(aim, work).then(
    (measured) => process.send?.(measured),
    (error: unknown) => process.send?.({ ...NOTHING, fault: String(error) }),
  );
});

/** The figures of a row that came to nothing. */
export const NOTHING: Measured = {
  answers: 0,
  seconds: 0,
  perSecond: 0,
  bytesPerSecond: 0,
  p50Ms: 0,
  p99Ms: 0,
  generatorCpu: 0,
  signedLate: 0,
};
