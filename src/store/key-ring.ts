/**
 * The key ring: the keys of the local key management service, and those of the service itself.
 *
 * Keys are rows, so that every process has the same ones and a backup has them too; what they are made of is sealed
 * under a master key that is made of what lies outside of the store. A key is made, disabled and enabled, rotated (what was sealed
 * under an older material still opens), and scheduled for deletion, until which it can be taken back. When the day has
 * come it is gone, whether or not its row still is, and nothing that was sealed under it opens again.
 */
import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from "node:crypto";
import type { Clock } from "../ports/clock.ts";
import { type EncryptionContext, type GeneratedKey, type Kms, KmsRefusal } from "../ports/kms.ts";
import { type MetadataEngine, pointRange } from "../ports/metadata.ts";
import type { Random } from "../ports/random.ts";
import type { SealKey } from "../ports/seal-key.ts";
import { ByteReader, ByteWriter, RecordDamaged } from "./bytes.ts";
import type { RootKey, ServiceKeys } from "./encryption.ts";
import { after, familyRange, keyRingKey, keyRingNameOf } from "./keys.ts";
import { RecordFromNewerVersion } from "./records.ts";
import type { Transact, Transaction } from "./transact.ts";

/** A key as it is told. */
export interface KeyDescription {
  readonly id: string;
  /** What its maker calls it; may be empty. */
  readonly description: string;
  readonly state: "enabled" | "disabled" | "pending-deletion";
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  /** When it will be gone, in milliseconds since 1970; undefined while no deletion is scheduled. */
  readonly deletionMs: number | undefined;
  /** How many materials it has had, the one in use included. */
  readonly rotations: number;
  /** Whether it is the one that is used where none is named. */
  readonly isDefault: boolean;
}

/** What may be done to keys. Each raises KmsRefusal `unknown-key` for a key that is not there. */
export interface KeyRing {
  /** Every key, in order of id. */
  list(): Promise<readonly KeyDescription[]>;
  /** Makes a key. @throws RangeError for a description of more than 1,024 characters. */
  create(description?: string): Promise<KeyDescription>;
  /** One that awaits its deletion is KmsRefusal `refused`. */
  enable(id: string): Promise<KeyDescription>;
  /** One that awaits its deletion is KmsRefusal `refused`. */
  disable(id: string): Promise<KeyDescription>;
  /** The key is of no use from now on, and gone after `days` days (7 to 30). @throws RangeError for other days. */
  scheduleDeletion(id: string, days?: number): Promise<KeyDescription>;
  /** Takes a key back, disabled. */
  cancelDeletion(id: string): Promise<KeyDescription>;
  /** New keys are sealed under a new material from now on. The service's own keys where no id is told. */
  rotate(id?: string): Promise<KeyDescription>;
}

/** What the keys are sealed under. */
export interface MasterKey {
  /** Looks whether it is at hand, the very one; while there are no keys, anything is. @throws KmsRefusal `unavailable`. */
  check(): Promise<void>;
}

export interface KeyRingOptions {
  readonly metadata: MetadataEngine;
  readonly transact: Transact;
  readonly clock: Clock;
  readonly random: Random;
  /** What the keys are sealed under, by way of the master key that is made of it. */
  readonly sealKey: SealKey;
  /** Calls of `generate` and `open` that each process answers within a second. */
  readonly callsPerSecond: number;
}

interface KeyRecord {
  readonly description: string;
  readonly state: KeyDescription["state"];
  readonly createdMs: number;
  readonly deletionMs: number | undefined;
  readonly isDefault: boolean;
  /** Materials, sealed under the master key; the last is in use. */
  readonly materials: readonly Buffer[];
}

const FORM = 1;
const STATES = ["enabled", "disabled", "pending-deletion"] as const satisfies readonly KeyDescription["state"][];
const FLAG_DEFAULT = 1;
/** The row of the service's own keys; ids of others are UUIDs. */
const SERVICE_KEYS = "service";
/** The row that tells the master key from another one. */
const MASTER_CHECK = "master";
const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SALT_BYTES = 16;
const DESCRIPTION_CHARS_MAX = 1_024;
const DELETION_DAYS_MIN = 7;
const DELETION_DAYS_MAX = 30;
const DAY_MS = 24 * 60 * 60 * 1000;
const KEY_ROWS = 100;

function encodeKey({ description, state, createdMs, deletionMs, isDefault, materials }: KeyRecord): Buffer {
  const writer = new ByteWriter()
    .u8(FORM)
    .u8(STATES.indexOf(state))
    .u8(isDefault ? FLAG_DEFAULT : 0)
    .u48(createdMs)
    .u48(deletionMs ?? 0)
    .text(description)
    .varint(materials.length);
  for (const material of materials) writer.bytes(material);
  return writer.finish();
}

/** What a row of the key ring says; throws for a row that cannot be read. */
function decodeKey(value: Buffer): KeyRecord {
  const reader = new ByteReader(value);
  const form = reader.u8();
  const state = STATES[reader.u8()];
  const flags = reader.u8();
  if (form !== FORM || state === undefined || flags > FLAG_DEFAULT) throw new RecordFromNewerVersion("a key");
  const createdMs = reader.u48();
  const deletionMs = reader.u48() || undefined;
  const description = reader.text();
  const materials: Buffer[] = [];
  for (let left = reader.varint(); left > 0; left--) materials.push(reader.bytes());
  reader.end();
  if (materials.length === 0) throw new RecordDamaged("a key without material");
  return { description, state, createdMs, deletionMs, isDefault: (flags & FLAG_DEFAULT) !== 0, materials };
}

/** The key of the row that tells the master key from another one. */
export function masterCheckKey(): Buffer {
  return keyRingKey(MASTER_CHECK);
}

/** The key of the row of the service's own keys. */
export function serviceKeysKey(): Buffer {
  return keyRingKey(SERVICE_KEYS);
}

/**
 * The row of the service's keys that opens what was sealed under `saved`, and under `live` where it has come from it:
 * requests make these keys and are not told which, and one that goes on may store what it has sealed under the newest.
 */
export function serviceKeysOf(live: Buffer | undefined, saved: Buffer | undefined): Buffer | undefined {
  if (live === undefined || saved === undefined) return live ?? saved;
  const now = decodeKey(live).materials;
  const goesOn = decodeKey(saved).materials.every((material, number) => now[number]?.equals(material) === true);
  return goesOn ? live : saved;
}

/** Checks the form of a row of the key ring, for whoever looks for damage. @throws RecordDamaged, RecordFromNewerVersion. */
export function checkKeyRow(name: string, value: Buffer): void {
  if (name !== MASTER_CHECK) decodeKey(value);
}

function sealed(key: Buffer, nonce: Buffer, bound: Buffer, bytes: Buffer): Buffer {
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(bound);
  return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

/** Undefined for what was sealed with another key, bound to something else, or is damaged. */
function opened(key: Buffer, bound: Buffer, bytes: Buffer): Buffer | undefined {
  if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const at = bytes.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
    .setAAD(bound)
    .setAuthTag(bytes.subarray(at));
  const plain = decipher.update(bytes.subarray(NONCE_BYTES, at));
  try {
    decipher.final();
    return plain;
  } catch {
    return undefined;
  }
}

/** Its own key for this purpose: the same file seals other secrets too. */
function masterFrom(sealKey: Buffer): Buffer {
  return createHmac("sha256", sealKey).update("cosbox key ring 1").digest();
}

function checkOfMaster(master: Buffer): Buffer {
  return createHmac("sha256", master).update("cosbox master 1").digest();
}

const materialBinding = (id: string, number: number): Buffer =>
  new ByteWriter(64).text("cosbox key").text(id).varint(number).finish();

function contextBinding(id: string, number: number, context: EncryptionContext): Buffer {
  const pairs = Object.entries(context).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return new ByteWriter(128).text("cosbox sealed").text(id).varint(number).text(JSON.stringify(pairs)).finish();
}

/** Many names and values fit a window of one second, counted by the monotonic clock. */
function throttle(clock: Clock, perSecond: number): () => void {
  let began = Number.NEGATIVE_INFINITY;
  let calls = 0;
  return () => {
    const now = clock.monotonic();
    if (now - began >= 1_000) {
      began = now;
      calls = 0;
    }
    calls += 1;
    if (calls > perSecond) throw new KmsRefusal("throttled", `more than ${perSecond} calls in a second`);
  };
}

/** The key ring in the metadata store, as a key management service and for whoever looks after the keys. */
export function keyRing(options: KeyRingOptions): {
  readonly ring: KeyRing;
  readonly kms: Kms;
  readonly serviceKeys: ServiceKeys;
  readonly master: MasterKey;
} {
  const { metadata, transact, clock, random, sealKey } = options;
  const admit = throttle(clock, options.callsPerSecond);
  let masterKey: Promise<Buffer> | undefined;
  /** Materials that have been opened, by what they were sealed as; they never change. */
  const materials = new Map<string, Buffer>();

  async function rowOf(name: string): Promise<Buffer | undefined> {
    const [rows] = await metadata.read([pointRange(keyRingKey(name))]);
    return rows?.[0]?.value;
  }

  async function findMaster(): Promise<Buffer> {
    return await openMaster((await rowOf(MASTER_CHECK)) ?? (await makeMaster()));
  }

  async function openMaster(kept: Buffer): Promise<Buffer> {
    const reader = new ByteReader(kept);
    if (reader.u8() !== FORM) throw new RecordFromNewerVersion("the check of the master key");
    const salt = reader.raw(SALT_BYTES);
    const key = masterFrom(await sealedUnder(() => sealKey.find(salt)));
    const check = checkOfMaster(key);
    if (reader.left !== check.length || !timingSafeEqual(reader.raw(check.length), check)) {
      throw new KmsRefusal("unavailable", `the key in ${sealKey.place} is not the one that the keys were sealed under`);
    }
    return key;
  }

  /** Makes the key where nothing is sealed under one yet, and the row that tells it from another. */
  async function makeMaster(): Promise<Buffer> {
    const salt = random.bytes(SALT_BYTES);
    const check = checkOfMaster(masterFrom(await sealedUnder(() => sealKey.make(salt))));
    const row = keyRingKey(MASTER_CHECK);
    return await transact([row], async (tx) => {
      const other = await tx.get(row);
      if (other !== undefined) return other;
      const made = new ByteWriter(64).u8(FORM).raw(salt).raw(check).finish();
      tx.set(row, made);
      return made;
    });
  }

  async function sealedUnder(look: () => Promise<Buffer | undefined>): Promise<Buffer> {
    let found: Buffer | undefined;
    try {
      found = await look();
    } catch (error) {
      throw new KmsRefusal("unavailable", `the key in ${sealKey.place} cannot be had`, error);
    }
    if (found !== undefined) return found;
    throw new KmsRefusal("unavailable", `there is no key in ${sealKey.place}, and the keys are sealed under one`);
  }

  /** The master key, read once; a failure is tried again by the next who needs it. */
  async function masterOf(): Promise<Buffer> {
    masterKey ??= findMaster();
    try {
      return await masterKey;
    } catch (error) {
      masterKey = undefined;
      throw error;
    }
  }

  async function newMaterial(id: string, number: number): Promise<Buffer> {
    const bytes = random.bytes(KEY_BYTES);
    return sealed(await masterOf(), random.bytes(NONCE_BYTES), materialBinding(id, number), bytes);
  }

  async function material(id: string, { materials: all }: KeyRecord, number: number): Promise<Buffer> {
    const stored = all[number];
    if (stored === undefined) throw new KmsRefusal("refused", `key ${id} has no material ${number}`);
    const name = stored.toString("latin1");
    const known = materials.get(name);
    if (known !== undefined) return known;
    const found = opened(await masterOf(), materialBinding(id, number), stored);
    if (found === undefined) throw new KmsRefusal("unavailable", `material ${number} of key ${id} does not open`);
    materials.set(name, found);
    return found;
  }

  function isGone({ deletionMs }: KeyRecord): boolean {
    return deletionMs !== undefined && deletionMs <= clock.now();
  }

  function describe(id: string, record: KeyRecord): KeyDescription {
    const { description, state, createdMs, deletionMs, isDefault } = record;
    return { id, description, state, createdMs, deletionMs, isDefault, rotations: record.materials.length };
  }

  async function usable(id: string): Promise<KeyRecord> {
    const value = id === SERVICE_KEYS || id === MASTER_CHECK ? undefined : await rowOf(id);
    const record = value && decodeKey(value);
    if (record === undefined || isGone(record)) throw new KmsRefusal("unknown-key", `there is no key ${id}`);
    if (record.state !== "enabled") throw new KmsRefusal("key-disabled", `key ${id} is ${record.state}`);
    return record;
  }

  async function newKey(description: string, isDefault: boolean): Promise<{ id: string; record: KeyRecord }> {
    const id = uuid(random);
    const createdMs = clock.now();
    const first = await newMaterial(id, 0);
    return {
      id,
      record: { description, state: "enabled", createdMs, deletionMs: undefined, isDefault, materials: [first] },
    };
  }

  /** The default key's id; it is made when it is needed first, or again once it was deleted. */
  async function defaultKey(): Promise<string> {
    const find = (keys: readonly KeyDescription[]): string | undefined => keys.find(({ isDefault }) => isDefault)?.id;
    const present = find(await list());
    if (present !== undefined) return present;
    const made = await newKey("the default key of COS", true);
    // Two processes may make one each: whoever came first by the row of the master key's check decides.
    return await transact([keyRingKey(MASTER_CHECK)], async (tx) => {
      const guard = await tx.get(keyRingKey(MASTER_CHECK));
      if (guard === undefined) throw new RecordDamaged("the check of the master key is missing");
      const rows = await tx.peek(familyRange("keyRing", KEY_ROWS));
      for (const { key, value } of rows) {
        const name = keyRingNameOf(key);
        if (name === SERVICE_KEYS || name === MASTER_CHECK) continue;
        const record = decodeKey(value);
        if (record.isDefault && !isGone(record)) return name;
      }
      tx.set(keyRingKey(MASTER_CHECK), guard);
      tx.set(keyRingKey(made.id), encodeKey(made.record));
      return made.id;
    });
  }

  async function list(): Promise<readonly KeyDescription[]> {
    const keys: KeyDescription[] = [];
    let range = familyRange("keyRing", KEY_ROWS);
    for (;;) {
      const [rows = []] = await metadata.read([range]);
      for (const { key, value } of rows) {
        const name = keyRingNameOf(key);
        if (name === SERVICE_KEYS || name === MASTER_CHECK) continue;
        const record = decodeKey(value);
        if (!isGone(record)) keys.push(describe(name, record));
      }
      const last = rows.at(-1);
      if (last === undefined) return keys;
      range = { ...range, start: after(last.key) };
    }
  }

  async function change(id: string, next: (record: KeyRecord, tx: Transaction) => KeyRecord): Promise<KeyDescription> {
    const row = keyRingKey(id);
    return await transact([row], async (tx) => {
      const value = id === MASTER_CHECK ? undefined : await tx.get(row);
      const record = value && decodeKey(value);
      if (record === undefined || isGone(record)) throw new KmsRefusal("unknown-key", `there is no key ${id}`);
      const changed = next(record, tx);
      tx.set(row, encodeKey(changed));
      return describe(id, changed);
    });
  }

  function unlessPending(id: string, record: KeyRecord, state: KeyRecord["state"]): KeyRecord {
    if (id === SERVICE_KEYS) throw new KmsRefusal("refused", "the service's own keys are always in use");
    if (record.state === "pending-deletion") throw new KmsRefusal("refused", `key ${id} awaits its deletion`);
    return { ...record, state };
  }

  async function serviceRecord(): Promise<KeyRecord> {
    const present = await rowOf(SERVICE_KEYS);
    if (present !== undefined) return decodeKey(present);
    const first = await newMaterial(SERVICE_KEYS, 0);
    const made: KeyRecord = {
      description: "",
      state: "enabled",
      createdMs: clock.now(),
      deletionMs: undefined,
      isDefault: false,
      materials: [first],
    };
    const row = keyRingKey(SERVICE_KEYS);
    return await transact([row], async (tx) => {
      const other = await tx.get(row);
      if (other !== undefined) return decodeKey(other);
      tx.set(row, encodeKey(made));
      return made;
    });
  }

  const kms: Kms = {
    async generate(keyId, context): Promise<GeneratedKey> {
      admit();
      const id = keyId ?? (await defaultKey());
      const record = await usable(id);
      const number = record.materials.length - 1;
      const under = await material(id, record, number);
      const key = random.bytes(KEY_BYTES);
      const box = sealed(under, random.bytes(NONCE_BYTES), contextBinding(id, number, context), key);
      return { keyId: id, key, sealed: new ByteWriter(80).varint(number).raw(box).finish() };
    },

    async open(keyId, box, context) {
      admit();
      const record = await usable(keyId);
      const reader = new ByteReader(box);
      const number = reader.varint();
      const under = await material(keyId, record, number);
      const key = opened(under, contextBinding(keyId, number, context), reader.raw(reader.left));
      if (key === undefined) throw new KmsRefusal("refused", "what was sealed does not open in this context");
      return key;
    },
  };

  const serviceKeys: ServiceKeys = {
    async current(): Promise<RootKey> {
      const record = await serviceRecord();
      const number = record.materials.length - 1;
      return { number, key: await material(SERVICE_KEYS, record, number) };
    },
    async numbered(number) {
      return await material(SERVICE_KEYS, await serviceRecord(), number);
    },
  };

  const ring: KeyRing = {
    list,

    async create(description = "") {
      if (description.length > DESCRIPTION_CHARS_MAX) {
        throw new RangeError(`a description has at most ${DESCRIPTION_CHARS_MAX} characters`);
      }
      const { id, record } = await newKey(description, false);
      await transact([], async (tx) => tx.set(keyRingKey(id), encodeKey(record)));
      return describe(id, record);
    },

    enable: (id) => change(id, (record) => unlessPending(id, record, "enabled")),
    disable: (id) => change(id, (record) => unlessPending(id, record, "disabled")),

    scheduleDeletion(id, days = DELETION_DAYS_MIN) {
      if (!Number.isInteger(days) || days < DELETION_DAYS_MIN || days > DELETION_DAYS_MAX) {
        throw new RangeError(`a key is deleted after ${DELETION_DAYS_MIN} to ${DELETION_DAYS_MAX} days`);
      }
      return change(id, (record) => {
        if (id === SERVICE_KEYS) throw new KmsRefusal("refused", "the service's own keys are not deleted");
        return { ...record, state: "pending-deletion", deletionMs: clock.now() + days * DAY_MS };
      });
    },

    cancelDeletion: (id) =>
      change(id, (record) => {
        // A key that is in use would be disabled by it.
        if (record.state !== "pending-deletion") throw new KmsRefusal("refused", `key ${id} awaits no deletion`);
        return { ...record, state: "disabled", deletionMs: undefined };
      }),

    async rotate(id = SERVICE_KEYS) {
      if (id === SERVICE_KEYS) await serviceRecord();
      for (;;) {
        const value = await rowOf(id);
        const number = value === undefined || id === MASTER_CHECK ? 0 : decodeKey(value).materials.length;
        const next = await newMaterial(id, number);
        let isCurrent = true;
        const rotated = await change(id, (record) => {
          isCurrent = record.materials.length === number;
          return isCurrent ? { ...record, materials: [...record.materials, next] } : record;
        });
        // Somebody else has rotated it meanwhile, and the material is bound to its number.
        if (isCurrent) return rotated;
      }
    },
  };

  const master: MasterKey = {
    async check() {
      const kept = await rowOf(MASTER_CHECK);
      if (kept !== undefined) await openMaster(kept);
    },
  };

  return { ring, kms, serviceKeys, master };
}

/** A remote service seals as a text, which what the ring seals never is. */
const SEALED_BY_REMOTE = /^[\x20-\x7e]+$/;

/**
 * The keys of a remote service beside those of the key ring: whatever is new is sealed there, and what was sealed under a
 * key of the ring before still opens.
 */
export function besideKeyRing(ring: Kms, remote: Kms): Kms {
  return {
    generate: (keyId, context) => remote.generate(keyId, context),
    open: (keyId, sealed, context) =>
      (SEALED_BY_REMOTE.test(sealed.toString("latin1")) ? remote : ring).open(keyId, sealed, context),
  };
}

/** A random UUID, version 4. (RFC 9562 §5.4) */
function uuid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
