/** What model.ts holds: buckets, versions, uploads and rules. */

/** From the warmest to the coldest. */
export const CLASSES = ["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ARCHIVE", "DEEP_ARCHIVE"] as const;
export type ClassName = (typeof CLASSES)[number];

/** When a rule removes or moves: after days, or from a midnight on, which is told by the days since `FIRST_MIDNIGHT`. */
export type When = { readonly days: number } | { readonly onDay: number };

export interface Rule {
  readonly enabled: boolean;
  readonly prefix: string;
  readonly notPrefix: string | undefined;
  readonly tagged: boolean;
  readonly above: number | undefined;
  readonly below: number | undefined;
  readonly expire: When | undefined;
  readonly move: { readonly when: When; readonly to: ClassName } | undefined;
  readonly markers: boolean;
  readonly noncurrentDays: number | undefined;
  readonly moveNoncurrent: { readonly days: number; readonly to: ClassName } | undefined;
  readonly abortDays: number | undefined;
}

export interface ModelLifecycle {
  readonly setMs: number;
  readonly rules: readonly Rule[];
}

/** What a request says of the object that it stores. */
export interface Facts {
  readonly storageClass: ClassName;
  readonly tagged: boolean;
  /** For how many days from now it is to be locked; undefined where the request does not say. */
  readonly lockDays: number | undefined;
}

export interface ModelObject {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly appendable: boolean;
  readonly note: string | undefined;
  readonly modifiedMs: number;
  storageClass: ClassName;
  tagged: boolean;
  /** Until when it says that it is locked. */
  lockedMs: number | undefined;
  restore: { readonly readyMs: number; readonly expiresMs: number } | undefined;
  /** When it was read last, as far as its tier depends on it. */
  readMs: number;
}

export interface ModelVersion {
  /** Undefined for a delete marker. */
  readonly object: ModelObject | undefined;
  /** `null`, or what the server has called it; `NEW` until it has told. */
  id: string;
  readonly modifiedMs: number;
  /** Since when an object is an older version. */
  supersededMs: number | undefined;
}

export interface ModelPart {
  readonly bytes: Buffer;
  readonly etag: string;
}

export interface ModelUpload {
  readonly bucket: string;
  readonly key: string;
  readonly note: string | undefined;
  readonly facts: Facts;
  readonly initiatedMs: number;
  readonly parts: Map<number, ModelPart>;
  /** The server's name for it, once it has told one. */
  id: string;
  open: boolean;
}

export interface ModelBucket {
  versioning: "Enabled" | "Suspended" | undefined;
  lock: { readonly days: number | undefined } | undefined;
  lifecycle: ModelLifecycle | undefined;
  tieringDays: number | undefined;
  /** The versions of each key that has any, the newest first. */
  readonly keys: Map<string, ModelVersion[]>;
}
