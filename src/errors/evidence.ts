/** What only the place that refuses can know of a refusal. It goes into the decision record and is never sent. */

/** A signature that did not match. Neither secrets nor a right signature ever stand here. */
export interface SignatureEvidence {
  readonly kind: "signature";
  /** The text that was to be signed, as the server reads the request. */
  readonly canonical: string;
  /** The mistake that gives the very signature which was sent; undefined where no known one does. */
  readonly mistake: SignatureMistake | undefined;
  /** Mistakes that were tried. */
  readonly tried: number;
}

/** One way to go wrong, and what to do about it. */
export interface SignatureMistake {
  /** A word for programs, such as `path-encoded`. */
  readonly name: string;
  /** One sentence on what the client did. */
  readonly told: string;
  /** One sentence on what to change. */
  readonly mend: string;
  /** The text the client signed, where that is what differs. */
  readonly canonical?: string;
}

/** A time that lies outside of what holds. Milliseconds since 1970. */
export interface TimeEvidence {
  readonly kind: "time";
  readonly now: number;
  readonly start: number;
  readonly end: number;
  /** How far the start may lie ahead, ms. */
  readonly skewMs: number;
}

/** A bucket that is somewhere else than its address says. */
export interface RegionEvidence {
  readonly kind: "region";
  readonly bucketRegion: string;
  readonly addressedRegion: string;
}

/** A host at which the request does not find what it asks for. */
export interface EndpointEvidence {
  readonly kind: "endpoint";
  /** One sentence on what the host is. */
  readonly told: string;
  /** The host to use in its place; undefined where nothing tells it. */
  readonly instead: string | undefined;
}

/** A fault that somebody asked for. */
export interface FaultEvidence {
  readonly kind: "fault";
  readonly id: string;
  readonly phase: "before" | "during" | "after";
}

/** A state that somebody has put an account, a bucket, an object or the server in. Times in ms since 1970. */
export interface StateEvidence {
  readonly kind: "state";
  /** Such as `account/100000000001`. */
  readonly of: string;
  readonly state: string;
  readonly sinceMs: number;
  readonly nowMs: number;
  /** True for arrears that have lasted too long. */
  readonly overdue: boolean;
}

/** A page that the bucket's referer rules do not serve. */
export interface RefererEvidence {
  readonly kind: "referer";
  /** Undefined where none was sent. */
  readonly referer: string | undefined;
  /** What kind of list the rules are. */
  readonly type: "Black-List" | "White-List";
  /** The rule that covers the page; undefined where none does. */
  readonly matched: string | undefined;
}

/** A request of a web page that no CORS rule of the bucket admits. */
export interface CorsEvidence {
  readonly kind: "cors";
  /** Undefined where the browser tells none. */
  readonly origin: string | undefined;
  readonly method: string;
  /** Names of the headers the page wants to send, in lower case. */
  readonly headers: readonly string[];
  /** How many rules the bucket has. */
  readonly rules: number;
  /** The rule that comes nearest, and what of it stops the request; undefined where there is no rule or no origin. */
  readonly nearest: CorsNearest | undefined;
  /** Why a rule is needed: a browser asks ahead, or a page uses keys that everybody knows, or writes to their server unsigned. */
  readonly need: "preflight" | "published-keys" | "unsigned-write";
}

export interface CorsNearest {
  /** Its place among the rules, from 1. */
  readonly number: number;
  readonly id: string | undefined;
  readonly stops: "origin" | "method" | "header";
  /** What it does not admit. */
  readonly value: string;
  /** What it admits in its place. */
  readonly admits: readonly string[];
}

/** A part of a request that has to be signed and is not. */
export interface UnsignedEvidence {
  readonly kind: "unsigned";
  readonly part: "header" | "parameter";
  readonly name: string;
  /** Id of the bucket's rule that wants it. */
  readonly rule: string;
}

/** A limit on how often requests may come. */
export interface RateEvidence {
  readonly kind: "rate";
  readonly id: string;
  /** Whose requests were counted, such as `the bucket demo-1250000000`. */
  readonly of: string;
  /** Empty for any. */
  readonly operations: readonly string[];
  readonly perSecond: number;
  readonly burst: number;
}

/** A bound of the settings that was reached. */
export interface LimitEvidence {
  readonly kind: "limit";
  /** Its name in `limits`. */
  readonly name: string;
  readonly bound: number;
  /** One sentence on what reached it. */
  readonly told: string;
}

/** What is true of an object that a request does not fit. Times in ms since 1970. */
export interface ObjectEvidence {
  readonly kind: "object";
  /** Its version id, or `null`. */
  readonly version: string;
  readonly storageClass: string;
  /** The tier it is in; undefined for one of another class than the tiering one. */
  readonly tier: string | undefined;
  readonly nowMs: number;
  /** Until when it is locked; undefined where it is not. */
  readonly lockedUntilMs: number | undefined;
  /** From when to when there is a restored copy of it; undefined where none was asked for, or it is gone. */
  readonly restore: { readonly readyMs: number; readonly expiresMs: number } | undefined;
}

/** What is true of a bucket that a request does not fit. */
export interface BucketEvidence {
  readonly kind: "bucket";
  /** Undefined where it was never configured. */
  readonly versioning: string | undefined;
  /** Undefined where its objects cannot be locked. `days` is for how long they are by default. */
  readonly lock: { readonly generation: number; readonly days: number | undefined } | undefined;
  /** Names of its configurations, such as `lifecycle`. */
  readonly configurations: readonly string[];
}

export type Evidence =
  | ObjectEvidence
  | BucketEvidence
  | SignatureEvidence
  | TimeEvidence
  | RegionEvidence
  | EndpointEvidence
  | FaultEvidence
  | StateEvidence
  | RateEvidence
  | LimitEvidence
  | RefererEvidence
  | CorsEvidence
  | UnsignedEvidence;
