/**
 * Clients that do everything a store can be asked to do, in an order that the seed decides. Each has keys of its own,
 * about which it knows everything, and all share some.
 */
import { type Client, Unanswered } from "./client.ts";
import { type Encryption, ENCRYPTIONS } from "./encryption.ts";
import type { Journal } from "./journal.ts";
import type { Chance } from "./plan.ts";
import { Writer } from "./writer.ts";

/** Sizes around every bound of the store (inline, block, buffer, segment, file of its own) besides the plain ones. */
const EDGES = [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 262_144, 524_288, 524_289, 1_048_577];
const BYTES_MAX = 2 * 1024 * 1024;
const OWN_KEYS = 8;
const SHARED_KEYS = 10;
const LOG_BYTES_MAX = 150_000;
const UPLOADS_MAX = 3;
/** What a change of a key that others change as well may be refused with. */
const RACE = ["PathConflict"];

export interface LoadOptions {
  readonly client: Client;
  readonly journal: Journal;
  readonly chance: Chance;
  /** Which of the clients it is. */
  readonly number: number;
  /** Bytes to take bodies from. */
  readonly pool: Buffer;
  /** The most bytes of a body; 2 MiB by default. */
  readonly bytesMax?: number;
  /** Whether to stop before the next request; never by default. */
  readonly stopped?: () => boolean;
}

/** Bytes of which any stretch is different from any other. */
export function poolOf(chance: Chance): Buffer {
  const pool = Buffer.allocUnsafe(BYTES_MAX * 3);
  let state = 1 + chance.below(2 ** 31);
  for (let at = 0; at < pool.length; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    pool.writeInt32LE(state, at);
  }
  return pool;
}

/**
 * Runs one client until it is cut off, or told to stop.
 * @throws Failed, and an AssertionError for what the server should not have answered.
 */
export async function runClient(options: LoadOptions): Promise<void> {
  const step = steps(options);
  const { stopped = () => false } = options;
  while (!stopped()) {
    try {
      await step();
    } catch (error) {
      if (error instanceof Unanswered) return;
      throw error;
    }
  }
}

function steps({ client, journal, chance, number, pool, bytesMax = BYTES_MAX }: LoadOptions): () => Promise<void> {
  const writer = new Writer(client, journal);
  const below = (count: number): number => chance.below(count);
  const once = (of: number): boolean => chance.once(of);
  const pick = <T>(items: readonly T[]): T => chance.pick(items);
  const own = (): string => `client-${number}/own+${below(OWN_KEYS)}`;
  const shared = (): string => `shared/key ${below(SHARED_KEYS)}`;
  const sealed = (): Encryption => (once(2) ? undefined : pick(ENCRYPTIONS));

  function bytes(min = 0): Buffer {
    const wished = once(4) ? pick(EDGES) : once(12) ? below(BYTES_MAX) : once(3) ? below(200_000) : below(5_000);
    const at = below(pool.length - BYTES_MAX);
    return pool.subarray(at, at + Math.max(min, Math.min(wished, bytesMax)));
  }

  async function append(): Promise<void> {
    const key = `client-${number}/log-${below(2)}`;
    const present = journal.at(key).certain();
    if (present !== "unknown" && present !== undefined && present.bytes.length > LOG_BYTES_MAX)
      await writer.delete(key);
    else await writer.append(key, bytes().subarray(0, once(3) ? 40_000 : 100), sealed());
  }

  async function upload(): Promise<void> {
    const mine = [...journal.uploads.values()].filter(({ key }) => key.startsWith(`client-${number}/`));
    const one = mine[below(mine.length)];
    if (one === undefined || (mine.length < UPLOADS_MAX && once(4))) {
      await writer.begin(`client-${number}/multi-${below(3)}`, sealed());
      return;
    }
    const certain = [...one.parts.values()].every(({ length }) => length === 1);
    if (!certain || one.parts.size < 2 + below(4)) {
      // Only a last part may be empty.
      await writer.part(one, 1 + below(6), bytes(1));
    } else if (once(5)) await writer.abort(one);
    else await writer.complete(one, (_, at) => at === 0 || !once(6));
  }

  return () => {
    const draw = below(100);
    const race = once(2) ? RACE : undefined;
    const key = race === undefined ? own() : shared();
    if (draw < 32) {
      const isOwn = race === undefined || once(2);
      return isOwn ? writer.put(own(), bytes(), sealed()) : writer.put(key, bytes(), sealed(), race);
    }
    if (draw < 42) return append();
    if (draw < 62) return upload();
    if (draw < 70) return writer.copy(own(), key, sealed(), race);
    if (draw < 79) return writer.delete(key, race);
    if (draw < 84) {
      return writer.deleteMany([...new Set(Array.from({ length: 1 + below(5) }, () => (once(2) ? own() : shared())))]);
    }
    if (draw < 88) return writer.toggleBucket(`spare${number}-1250000000`);
    return writer.read(own());
  };
}
