/**
 * What an operation is: a declaration, pure data, and a handler. The declaration tells the route, the permission, the
 * input, the output and every refusal of the operation's own; the router, the reading of input, the writing of output
 * and the reference pages derive from it.
 */

import type { AccessQuestion, Permission } from "../access/authorise.ts";
import type { Caller, SignedVia } from "../access/caller.ts";
import type { ErrorId } from "../errors/catalogue.ts";
import type { Refuse } from "../errors/cos-error.ts";
import type { StreamedBody } from "../http/answer.ts";
import type { WireRequest } from "../http/request.ts";
import type { Limits } from "../limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { BucketRecord, DeleteMarkerRecord, ObjectRecord } from "../store/records.ts";
import type { DocumentWriter } from "./documents.ts";
import type { Store } from "../store/store.ts";
import type { Tags } from "../store/tags.ts";

/** What a request addresses. */
export type TargetKind = "service" | "bucket" | "object";

export type Method = "GET" | "HEAD" | "PUT" | "POST" | "DELETE" | "OPTIONS";

export interface Route {
  readonly method: Method;
  readonly on: TargetKind;
  /** Query parameters that must all be there; names as documented, matched in any case. */
  readonly query?: readonly string[];
  /** Query parameters of which at least one must be there. */
  readonly anyQuery?: readonly string[];
  /** A header that must be there with a value. */
  readonly header?: string;
}

/** The protocols that lead to operations. */
export type DialectName = "cos" | "s3";

/** Ways to prove who asks. An operation that lists none answers nobody. */
export type AuthenticationMode = SignedVia | "anonymous";

/** What fields read from. */
export interface InputSource {
  readonly request: WireRequest;
  readonly limits: Limits;
  /** Makes the service's own form of a document, by its name, of the one that the request's dialect has. */
  readonly ownDocument?: (name: string, bytes: Buffer) => Buffer;
}

/** One named part of an operation's input. */
export interface InputField<T> {
  readonly from: "header" | "headers" | "query" | "body" | "group";
  /** Name on the wire, as documented; for `headers` the common prefix, for `body` the document's root or `bytes`. */
  readonly name: string;
  readonly required: boolean;
  /** What the field may hold, in a few words, for the reference page. */
  readonly summary: string;
  /** Refusals this field can raise. */
  readonly errors: readonly ErrorId[];
  /** The fields of a group. */
  readonly fields?: InputFields;
  read(source: InputSource): T | Promise<T>;
}

/** An answer while it is being written. */
export interface AnswerDraft {
  status: number;
  /** Writes documents as the request's dialect spells them. */
  readonly document: DocumentWriter;
  readonly headers: [name: string, value: string][];
  body: string | Buffer | StreamedBody | undefined;
}

/** One named part of an operation's output. */
export interface OutputField<T> {
  readonly to: "header" | "headers" | "body" | "status" | "group";
  readonly name: string;
  readonly summary: string;
  /** The fields of a group. */
  readonly fields?: OutputFields;
  write(draft: AnswerDraft, value: T): void;
}

// `never` and `unknown` in these two bounds are what lets every field, whatever it holds, fit the record.
export type InputFields = Readonly<Record<string, InputField<unknown>>>;
export type OutputFields = Readonly<Record<string, OutputField<never>>>;

export type InputOf<I extends InputFields> = {
  readonly [K in keyof I]: I[K] extends InputField<infer T> ? Awaited<T> : never;
};
export type OutputOf<O extends OutputFields> = {
  readonly [K in keyof O]: O[K] extends OutputField<infer T> ? T : never;
};

export interface Declaration {
  readonly name: string;
  /** One sentence for the reference page. */
  readonly summary: string;
  readonly route: Route;
  /** Action name in policies, such as `name/cos:PutObject`. */
  readonly action: string;
  /** Further names under which policies speak of it, where the service's pages and clients have several. */
  readonly aliases?: readonly string[];
  readonly authentication: readonly AuthenticationMode[];
  /** What the caller must hold on the addressed bucket. */
  readonly permission: Permission;
  /**
   * True where the request names several keys in its body and the handler asks for each. Whom policies speak of is then
   * let through until the keys are known.
   */
  readonly perKey?: true;
  /**
   * True for what a browser asks before a request of a page: nobody signs it, and the bucket's CORS rules alone decide.
   * Its answer says about CORS what its handler writes.
   */
  readonly preflight?: true;
  /** True where a page may show what is answered: the bucket's referer rules are asked which pages. */
  readonly shows?: true;
  /** True where a success puts another object under the addressed key: such uploads of one key are counted. */
  readonly uploads?: true;
  /** What an input sets of tags, where a document may hold some: policies may ask for them. */
  readonly setsTags?: (input: never) => Tags;
  /** True for a listing: policies may name the prefix it asks for as a resource. */
  readonly lists?: true;
  /**
   * Reads the addressed object's row together with the permission check; the handler acts on that row. `object` is the
   * current one, `version` the one that `versionId` names, or the current one without it.
   */
  readonly loads?: "object" | "version";
  readonly input: InputFields;
  readonly output: OutputFields;
  /** Status of a success. */
  readonly status: number;
  /** Refusals of the handler's own; what fields and shared steps refuse is declared with them. */
  readonly errors: readonly ErrorId[];
  /** The only dialect that knows the operation; undefined where all do. */
  readonly only?: DialectName;
  /** True where a success may take long: 200 is sent early and blanks keep the connection alive until the document. */
  readonly keepAlive?: boolean;
}

/** Facts of the installation that answers depend on. */
export interface Installation {
  /** Region of requests that name none, and of the buckets made through them. */
  readonly region: string;
  readonly limits: Limits;
}

/** What a copy source names. */
export interface SourceAddress {
  readonly bucket: string;
  /** The bucket's name as the client wrote it. */
  readonly writtenBucket: string;
  readonly key: string;
  /** Undefined where the source names none: the bucket is found wherever it is. */
  readonly region: string | undefined;
  readonly versionId: string | undefined;
}

/** What a handler asks for in the name of its caller. */
export type Wanted = Omit<AccessQuestion, "caller">;

/** What a handler may touch. */
export interface OperationContext<E extends ErrorId = ErrorId> {
  readonly request: WireRequest;
  readonly caller: Caller;
  /** Region the address names, or the installation's own. */
  readonly region: string;
  /** True when the address named a region (service operations list only that region then). */
  readonly regional: boolean;
  /** Host and port the client addressed, for `Location` and `Resource`. */
  readonly authority: string;
  /** `http://<authority>` plus what path style puts before the key; no trailing slash. */
  readonly baseUrl: string;
  /** Name of the addressed bucket; empty for service operations. */
  readonly bucketName: string;
  /** The same as its client calls it, for what is told elsewhere than in a document. */
  readonly shownBucketName: string;
  /** The addressed bucket as authorised. Reading it where there is none is our own fault and throws. */
  readonly bucket: BucketRecord;
  /** Key of the addressed object; empty for others. */
  readonly key: string;
  /** The object's row as authorised, for operations that declare `loads`; undefined when there is none. */
  readonly object: ObjectRecord | undefined;
  /** The delete marker that is there instead, as the newest version or as the one that was named. */
  readonly deleteMarker: DeleteMarkerRecord | undefined;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Limits;
  readonly refuse: Refuse<E>;
  /** Reads the text of a copy source as the request's dialect spells it. Raises InvalidCopySource. */
  locate(source: string): SourceAddress;
  /**
   * Whether the caller may do something else besides what the operation was authorised for: read the source of a copy,
   * delete one of several objects. Conditions that speak of the request are held against this request. Raises what the
   * state of the other account, bucket or object comes to.
   */
  readonly may: (wanted: Wanted) => Promise<boolean>;
}

/** An operation as the table holds it; `handle` is absent for one that is recognised but not built yet. */
export interface Operation extends Declaration {
  readonly handle?: (context: OperationContext, input: never) => Promise<Readonly<Record<string, unknown>>>;
}

/** Joins a declaration to its handler. The handler may raise only ids of its own declaration. */
export function operation<
  const I extends InputFields,
  const O extends OutputFields,
  const D extends Declaration & { readonly input: I; readonly output: O },
>(
  declaration: D & { readonly input: I; readonly output: O },
  handle: (context: OperationContext<D["errors"][number]>, input: InputOf<I>) => Promise<OutputOf<O>>,
): Operation {
  return { ...declaration, handle: handle as unknown as NonNullable<Operation["handle"]> };
}

/** An operation of the service that cosbox recognises and answers with `NotImplemented` by name. */
export function unbuilt(name: string, action: string, route: Route, only?: DialectName): Operation {
  return {
    ...(only === undefined ? {} : { only }),
    name,
    summary: "Recognised, not built yet.",
    route,
    action,
    authentication: ["header", "query", "anonymous"],
    permission: "owner",
    input: {},
    output: {},
    status: 501,
    errors: ["NotImplemented"],
  };
}
