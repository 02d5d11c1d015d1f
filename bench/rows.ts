/** The rows of the benchmark, in the order they run. */

import type { Work } from "./load.ts";

export interface Row extends Omit<Work, "seconds"> {
  readonly name: string;
  /** The figure of a row: answers, or bytes of bodies, per second. */
  readonly unit: "/s" | "MB/s";
  /** Runs with `--quick` too. */
  readonly quick: boolean;
  /** Whether it runs against peers too: always, in the whole run, or never. */
  readonly peers: "always" | "full" | "never";
  /** The probe that this row is held against; it runs right before the row and right after. */
  readonly against?: ProbeName;
}

/** `lmdb-loaded` has as many rows in it as the bucket of the row has keys. */
export type ProbeName = "null" | "md5" | "lmdb" | "lmdb-loaded" | "hash-64k" | "sendfile-64m";

const KIB = 1024;
const MIB = 1024 * 1024;
const SIZES = [
  ["1k", KIB, 2000],
  ["4k", 4 * KIB, 2000],
  ["64k", 64 * KIB, 500],
  ["1m", MIB, 64],
  ["64m", 64 * MIB, 2],
] as const;
const OPS = ["put", "get", "head"] as const;
const QUICK: ReadonlySet<string> = new Set([
  "put-4k-c1",
  "put-4k-c64",
  "get-4k-c64",
  "head-4k-c64",
  "put-64k-c64",
  "get-64k-c64",
  "put-64m-c1",
  "get-64m-c1",
]);
const QUICK_PEERS: ReadonlySet<string> = new Set(["put-4k-c64", "get-4k-c64"]);
const AGAINST: Readonly<Record<string, ProbeName>> = {
  "put-4k-c64": "lmdb",
  "put-64k-c64": "hash-64k",
  "put-64m-c1": "md5",
  "get-4k-c64": "null",
  "head-4k-c64": "null",
  "get-64m-c1": "sendfile-64m",
};

function transfers(): Row[] {
  return SIZES.flatMap(([label, size, keys]) => {
    // Sixty-four bodies of 64 MiB at once take longer than a row has time.
    const concurrencies = size === 64 * MIB ? [1, 4, 16] : [1, 16, 64];
    return OPS.flatMap((op) =>
      concurrencies.map((concurrency): Row => {
        const name = `${op}-${label}-c${concurrency}`;
        const against = AGAINST[name];
        return {
          name,
          op,
          size,
          concurrency,
          keys,
          unit: op !== "head" && size >= MIB ? "MB/s" : "/s",
          quick: QUICK.has(name),
          peers: QUICK_PEERS.has(name) ? "always" : concurrency === 16 ? "never" : "full",
          ...(against === undefined ? {} : { against }),
        };
      }),
    );
  });
}

/** The rows of an ordinary bucket. */
export const ROWS: readonly Row[] = [
  ...transfers(),
  {
    name: "mixed-4k-c64",
    op: "mixed",
    size: 4 * KIB,
    concurrency: 64,
    keys: 2000,
    unit: "/s",
    quick: true,
    peers: "full",
  },
  {
    name: "delete-4k-c64",
    op: "delete",
    size: 4 * KIB,
    concurrency: 64,
    keys: 4000,
    unit: "/s",
    quick: true,
    peers: "full",
  },
  {
    name: "multipart-64m-c4",
    op: "multipart",
    size: 64 * MIB,
    concurrency: 4,
    keys: 0,
    unit: "MB/s",
    quick: true,
    peers: "full",
  },
];

/** The rows of a bucket that holds `keys` keys, a thousand under each prefix. */
export function loadedRows(keys: number): readonly Row[] {
  const label = keys >= 1_000_000 ? `${keys / 1_000_000}M` : `${keys / 1000}K`;
  const common = { keys, unit: "/s", quick: true, peers: "full" } as const;
  return [
    { name: `list-1000-of-${label}-c1`, op: "list", size: 0, concurrency: 1, ...common },
    { name: `list-1000-of-${label}-c16`, op: "list", size: 0, concurrency: 16, ...common },
    { name: `list-grouped-of-${label}-c1`, op: "list-grouped", size: 0, concurrency: 1, ...common },
    {
      name: `put-4k-into-${label}-c64`,
      op: "put-listed",
      size: 4 * KIB,
      concurrency: 64,
      against: "lmdb-loaded",
      ...common,
    },
  ];
}
