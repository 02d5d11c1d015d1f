/** What is configured for a bucket, as an export lists it and as a bucket that is made of one gets it. */

import { BUCKET_CORS } from "../access/cors.ts";
import { BUCKET_GRANTS, BUCKET_POLICY, FOLDER_ACLS, policyVersions } from "../access/documents.ts";
import { policyElsewhere } from "../access/policy/policy-elsewhere.ts";
import { BUCKET_REFERER } from "../access/referer.ts";
import { BUCKET_STRICT_SIGNATURE } from "../access/strict-signature.ts";
import { SettingsError } from "../config/settings.ts";
import { BUCKET_ENCRYPTION } from "../features/encryption/model.ts";
import { BUCKET_LIFECYCLE } from "../features/lifecycle/model.ts";
import type { Limits } from "../limits.ts";
import { attach } from "../store/attachments.ts";
import type { ConfigurationKind, Configurations } from "../store/configurations.ts";
import { type BucketLock, type BucketRecord, type Versioning, VERSIONINGS } from "../store/records.ts";
import { BUCKET_TIERING } from "../store/storage-class.ts";
import { BUCKET_TAGS } from "../store/tags.ts";
import type { Transaction } from "../store/transact.ts";

/** What stands in the first line of a list beside the name, the region and the ACL; absent in older exports. */
export interface ListedSettings {
  readonly versioning?: Versioning | undefined;
  readonly lock?: { readonly generation: 1 | 2; readonly days?: number | undefined } | undefined;
  /** Each configuration by its name, with the Base64 of its document as the store keeps it. */
  readonly configurations?: readonly (readonly [name: string, document: string])[];
}

/** The ACL has a place of its own in the list, and folders that have one come with their objects. */
const LISTED_ELSEWHERE: ReadonlySet<string> = new Set([BUCKET_GRANTS.name, FOLDER_ACLS.name]);

/** The names of the configurations that are listed. */
export function listedConfigurations({ configurations }: BucketRecord): readonly string[] {
  return [...configurations.revisions.keys()].filter((name) => !LISTED_ELSEWHERE.has(name)).sort();
}

/** What the list says of a bucket that has these configurations. */
export function listedSettings(
  { versioning, lock }: BucketRecord,
  documents: readonly (readonly [name: string, document: Buffer])[],
): ListedSettings {
  return {
    ...(versioning && { versioning }),
    ...(lock && { lock }),
    configurations: documents.map(([name, document]) => [name, document.toString("base64")] as const),
  };
}

/** From one bucket to another, which is made at this time, in milliseconds since 1970. */
interface Move {
  readonly from: string;
  readonly to: string;
  readonly nowMs: number;
}

interface Placing {
  readonly tx: Transaction;
  readonly configurations: Configurations;
}

type Place = (placing: Placing, bucket: BucketRecord, document: Buffer, move: Move) => BucketRecord;

function placed<T>(
  kind: ConfigurationKind<T>,
  moved: (value: T, move: Move) => T = (value) => value,
): readonly [string, Place] {
  return [
    kind.name,
    ({ tx, configurations }, bucket, document, move) =>
      configurations.put(tx, bucket, kind, moved(kind.decode(document), move)),
  ];
}

const PLACES: ReadonlyMap<string, Place> = new Map([
  placed(BUCKET_CORS),
  placed(BUCKET_REFERER),
  placed(BUCKET_STRICT_SIGNATURE),
  placed(BUCKET_TAGS),
  placed(BUCKET_TIERING),
  // The keys of a key management service stay with their data folder, here as for objects.
  placed(BUCKET_ENCRYPTION, ({ algorithm }) => ({ algorithm, keyId: undefined })),
  // It is set now: nothing goes before the next midnight.
  placed(BUCKET_LIFECYCLE, (lifecycle, { nowMs }) => ({ ...lifecycle, setMs: nowMs })),
  placed(BUCKET_POLICY, ({ texts }, { from, to }) =>
    policyVersions(texts.map((text) => policyElsewhere(text, from, to))),
  ),
]);

function damaged(why: string): SettingsError {
  return new SettingsError(`the export's list is damaged: ${why}`);
}

function lockOf(lock: ListedSettings["lock"]): BucketLock | undefined {
  if (lock === undefined) return undefined;
  const { generation, days } = lock;
  const isSound =
    (generation === 1 || generation === 2) && (days === undefined || (Number.isInteger(days) && days > 0));
  if (!isSound) throw damaged("its bucket has a lock that none can have");
  return { generation, days };
}

/**
 * Sets what the list says in a transaction that has made the bucket, and gives the record as it is then.
 * @throws SettingsError for what cannot be set.
 */
export async function placeSettings(
  { tx, configurations, limits }: Placing & { readonly limits: Limits },
  made: BucketRecord,
  listed: ListedSettings & { readonly bucket: string },
): Promise<BucketRecord> {
  const { versioning, bucket: from } = listed;
  if (versioning !== undefined && !VERSIONINGS.includes(versioning)) {
    throw damaged(`its bucket's versioning is ${JSON.stringify(versioning)}`);
  }
  let bucket: BucketRecord = { ...made, versioning, lock: lockOf(listed.lock) };
  const move = { from, to: made.name, nowMs: made.createdMs };
  for (const [name, document] of listed.configurations ?? []) {
    const place = PLACES.get(name);
    if (place === undefined)
      throw new SettingsError(`this version of cosbox knows no ${JSON.stringify(name)} of a bucket`);
    try {
      bucket = place({ tx, configurations }, bucket, Buffer.from(document, "base64"), move);
    } catch (error) {
      throw damaged(`${name}: ${(error as Error).message}`);
    }
    if (name !== BUCKET_POLICY.name) continue;
    const attached = await attach(tx, bucket, { of: "policy" }, limits.attachmentsPerAccount);
    if (!attached) throw new SettingsError(`account ${made.ownerUin} has all the ACLs and policies it may have`);
  }
  return bucket;
}
