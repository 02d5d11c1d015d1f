import { CATALOGUE, type ErrorId } from "./catalogue.ts";
import type { Evidence } from "./evidence.ts";
import { S3_FORMS, S3_NARROWER, type S3Code } from "./s3-codes.ts";

/** What a refusal is about, as the client calls it. */
export interface RefusalSubject {
  readonly bucket: string | undefined;
  readonly key: string | undefined;
}

/** What one refusal may add to its catalogue row. */
export interface RefusalOptions {
  /** Replaces the row's message; for messages that quote the request (a header's name, a value, a limit). */
  readonly message?: string;
  /** Further elements of the error body, in the order they are written, between `Message` and `Resource`. */
  readonly extras?: readonly (readonly [name: string, value: string])[];
  /** Response headers that belong to this refusal, such as `Allow` on a 405. Names as they go on the wire. */
  readonly headers?: Readonly<Record<string, string>>;
  /** A narrower code that the S3 dialect has for this refusal. */
  readonly s3?: S3Code;
  /** What the refusal is about, where that is not what the request addresses; named to S3 clients. */
  readonly about?: RefusalSubject;
  /** What led to the refusal; logged, never sent. */
  readonly cause?: unknown;
  /** What a decision record keeps of it, found out when one is kept; never sent. */
  readonly evidence?: () => Evidence;
}

/**
 * The one class for refusals: what a client can cause, and is told about. Faults of our own are ordinary `Error`s,
 * which the pipeline logs and answers as `InternalError`.
 */
export class CosError extends Error {
  override readonly name = "CosError";
  /** Our id of the row; unique, unlike the code. */
  readonly id: ErrorId;
  /** HTTP status the error page gives for this row, 400 to 503. */
  readonly status: number;
  /** Code the error page gives for this row, as it goes on the wire. */
  readonly code: string;
  readonly extras: readonly (readonly [name: string, value: string])[];
  readonly headers: Readonly<Record<string, string>>;
  readonly s3: S3Code | undefined;
  readonly about: RefusalSubject | undefined;
  readonly evidence: (() => Evidence) | undefined;

  constructor(id: ErrorId, options: RefusalOptions = {}) {
    const row = CATALOGUE[id];
    super(options.message ?? row.message, "cause" in options ? { cause: options.cause } : undefined);
    this.id = id;
    this.status = row.status;
    this.code = row.code;
    this.extras = options.extras ?? [];
    this.headers = options.headers ?? {};
    this.s3 = options.s3;
    this.about = options.about;
    this.evidence = options.evidence;
  }
}

/** Makes a refusal that accepts only `Ids`, so that an operation can raise no code it does not declare. */
export type Refuse<Ids extends ErrorId> = (id: Ids, options?: RefusalOptions) => CosError;

/** Makes the error to throw: `throw refuse("NoSuchBucket")`. It does not throw by itself, so control flow stays visible. */
export function refuse(id: ErrorId, options?: RefusalOptions): CosError {
  return new CosError(id, options);
}

/** Which of the two faces of the service answers: what its error page says, or what it is seen to send. */
export type ErrorsMode = "documented" | "observed";

/** The three facts of a refusal that differ between the two faces. */
export interface WireForm {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/**
 * The status, code and message to send. They differ between the modes only for rows with an `observed` entry; a
 * message that the refusal brought along is kept in both, because it speaks of this request.
 */
export function wireForm(error: CosError, mode: ErrorsMode): WireForm {
  const row = CATALOGUE[error.id];
  const documented = { status: error.status, code: error.code, message: error.message };
  if (mode === "documented" || row.observed === undefined) return documented;
  const { status = documented.status, code = documented.code, message = row.message } = row.observed;
  return { status, code, message: error.message === row.message ? message : error.message };
}

/** The same for the S3 dialect, which knows one face only: its codes are those of S3 where S3 has one. */
export function s3Form(error: CosError): WireForm {
  if (error.s3 === "NoSuchBucket") return CATALOGUE[error.s3];
  if (error.s3 !== undefined) return { status: S3_NARROWER[error.s3], code: error.s3, message: error.message };
  const form = S3_FORMS[error.id];
  if (form === undefined) return { status: error.status, code: error.code, message: error.message };
  const own = error.message !== CATALOGUE[error.id].message;
  return { status: form.status, code: form.code, message: own ? error.message : (form.message ?? error.message) };
}
