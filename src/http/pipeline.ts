/**
 * The one path of a request, as a list of steps. Which of two faults wins is the order of the lines in `run`; each step
 * hands on a richer value or throws a CosError. A dialect supplies what differs between protocols.
 */

import {
  type AccessQuestion,
  asksFor,
  authorise,
  type Decision,
  describeDecision,
  explainAccess,
  explainAcl,
  type TracedAcl,
  type TracedPolicy,
  wouldHaveToAllow,
} from "../access/authorise.ts";
import { ANONYMOUS, type Caller } from "../access/caller.ts";
import {
  BUCKET_CORS,
  corsEvidence,
  corsFields,
  type CorsMatch,
  type CorsRule,
  matchCors,
  varyFields,
} from "../access/cors.ts";
import { dependsOnKey, documentsFor } from "../access/documents.ts";
import { isForeignPage } from "../access/foreign-page.ts";
import { checkFormLength, checkFormPolicy, type FormPolicy, readFormPolicy } from "../access/form-policy.ts";
import { BUCKET_REFERER, refererFault } from "../access/referer.ts";
import { presentFor } from "../access/signing-time.ts";
import { BUCKET_STRICT_SIGNATURE, type SignedParts, unsignedPart } from "../access/strict-signature.ts";
import { CosError, refuse } from "../errors/cos-error.ts";
import type { Evidence } from "../errors/evidence.ts";
import type { Fault } from "../faults/fault.ts";
import { breakingBody, type FaultFinder, faultyAnswer, refusalOf, sleep } from "../faults/inject.ts";
import type { DocumentWriter } from "../operations/documents.ts";
import type {
  AnswerDraft,
  DialectName,
  Installation,
  Operation,
  OperationContext,
  OutputField,
  SourceAddress,
  Wanted,
} from "../operations/operation.ts";
import { type InputReader, inputReader } from "../operations/read-input.ts";
import { keyFault } from "../operations/name-rules.ts";
import type { Clock } from "../ports/clock.ts";
import type { StateFinder } from "../states/state.ts";
import { StorageUnavailable } from "../ports/blobs.ts";
import type { Limits } from "../limits.ts";
import type { Meter } from "../ports/meter.ts";
import type { Random } from "../ports/random.ts";
import type { RateGate } from "../rates/rate-limit.ts";
import { versionIdField } from "../operations/version-field.ts";
import type { BucketRecord, DeleteMarkerRecord, ObjectRecord, VersionRecord } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import { NO_TAGS } from "../store/tags.ts";
import { TransactionContended } from "../store/transact.ts";
import type { Answer } from "./answer.ts";
import { REQUEST_TAG, requestValues } from "./condition-values.ts";
import { formatIsoSeconds } from "./dates.ts";
import { answerWithin } from "./early-answer.ts";
import { readForm, watchedFile } from "./form.ts";
import { formRequest, withFileName } from "./form-request.ts";
import { type RequestBody, type WireRequest, withBody } from "./request.ts";
import { type Router, router } from "./router.ts";
import { pacedAnswer, pacedBody, trafficLimitOf } from "./traffic-limit.ts";

/** Where a request points, once its dialect has read authority and path. */
export type Address = (
  | { readonly kind: "service" }
  | { readonly kind: "bucket"; readonly bucket: string }
  | { readonly kind: "object"; readonly bucket: string; readonly key: string }
) & {
  /** Region the authority names; undefined when it names none. */
  readonly region: string | undefined;
  readonly authority: string;
  /** Scheme and authority, and under path style the bucket: what a key is appended to. */
  readonly baseUrl: string;
  /** UIN or APPID of the account that the client takes for the bucket's owner; undefined where it does not say. */
  readonly expectedOwner?: string;
};

/** What the evidence of a request comes to. */
export interface Authenticated {
  readonly caller: Caller;
  /** The bytes that were signed: without the framing that carries their signatures, and checked while they are read. */
  readonly body: RequestBody;
  /** Whether a part is signed, by its name in lower case as declarations have it; absent where nothing is. */
  readonly isSigned?: SignedParts["isSigned"];
}

/**
 * What a protocol brings to the path. Dialects translate and decide nothing. `A` is an address as the dialect makes it.
 * What a dialect is handed is the request as it was sent, except where a method says otherwise.
 */
export interface Dialect<A extends Address = Address> {
  readonly name: DialectName;
  /** Whether the request speaks this dialect. */
  claims(request: WireRequest): boolean;
  address(request: WireRequest): A;
  /** The request in the names that declarations use; the same one where there is nothing to translate. */
  translate(request: WireRequest, address: A): WireRequest;
  /** Raises the refusals of signatures; anonymous is a caller too. */
  authenticate(request: WireRequest, address: A): Authenticated | Promise<Authenticated>;
  /** The whole name of an addressed bucket, where its caller left out what goes without saying. */
  bucketName(address: A & { readonly bucket: string }, caller: Caller): string;
  /** What a caller calls a bucket, where he may leave out what goes without saying. */
  shownBucket(name: string, caller: Caller): string;
  /** Whether the fields of a form, by their names in lower case, speak this dialect. */
  claimsForm(fields: ReadonlyMap<string, string>): boolean;
  /** What of a form's fields counts as headers, under the names that declarations use. May refuse a value. */
  formHeaders(fields: ReadonlyMap<string, string>): Iterable<readonly [name: string, value: string]>;
  /** Whether a form may have a field that its policy does not speak of. */
  mayBeUncovered(field: string): boolean;
  /** Who sends a form. Raises the refusals of signatures; what the policy asks for is not looked at yet. */
  authenticateForm(form: SignedForm, request: WireRequest, address: A): Promise<Caller>;
  /** Reads a copy source; raises InvalidCopySource. */
  locate(source: string, caller: Caller): SourceAddress;
  /** Makes the service's own form of a document of the request's; raises what a document is refused with. */
  ownDocument?(name: string, bytes: Buffer, caller: Caller): Buffer;
  /** Writes the documents of one answer. */
  documents(request: WireRequest, caller: Caller): DocumentWriter;
  /** The answer of a success, as it goes out. */
  writeAnswer(answer: Answer, operation: Operation, request: WireRequest): Answer;
  /** The answer that tells a refusal; the request may have no address. */
  writeError(error: CosError, request: WireRequest): Answer;
  /** The document alone, for an error that follows a status of 200. */
  errorDocument(error: CosError, request: WireRequest): string;
}

/** A form before it is known who sends it. */
export interface SignedForm {
  /** By their names in lower case. */
  readonly fields: ReadonlyMap<string, string>;
  /** Undefined where the form has none. */
  readonly policy: FormPolicy | undefined;
}

/** The dialect of a request: the first that claims it, or the last, whose requests have no mark of their own. */
export function dialectOf(dialects: readonly Dialect[], request: WireRequest): Dialect {
  return (dialects.find((dialect) => dialect.claims(request)) ?? dialects.at(-1)) as Dialect;
}

type OwnDocument = NonNullable<Dialect["ownDocument"]>;

export interface PipelineParts {
  /** At least one; the last one answers what no other claims. */
  readonly dialects: readonly Dialect[];
  readonly table: readonly Operation[];
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly installation: Installation;
  /** True when the published development keys are accepted, which every web page knows. Default false. */
  readonly publishedKeys?: boolean;
  /** Faults that people asked for; by default there are none. */
  readonly faults?: FaultFinder;
  /** Limits on how often requests may come; by default there are none. */
  readonly rates?: RateGate;
  /** What is counted for all processes together; without it, uploads of one key are not. */
  readonly meter?: Meter;
  /** States that accounts, buckets and objects were put in; by default all are active. */
  readonly states?: StateFinder;
  /** Where a request is explained, for the header `x-cosbox-explain` of its refusal; undefined where nowhere. */
  readonly explainedAt?: (requestId: string) => string | undefined;
  /** Told of every fault of our own, with the request it happened in. */
  readonly onFault: (error: unknown, request: WireRequest) => void;
  /** Told of every answer; and again of one that began as a success and ends as a refusal. */
  readonly onAnswer?: (request: WireRequest, answer: Answer, outcome: Outcome) => void;
}

/** The steps of a request in their order. */
export const STEPS = ["address", "authenticate", "bucket", "authorise", "input", "handle"] as const;

/** What a request came to, for logs and records. */
export interface Outcome {
  /** `sts` for what has no part in this path, and is recorded all the same. */
  readonly dialect: DialectName | "sts";
  readonly operation: Operation | undefined;
  readonly caller: Caller | undefined;
  readonly address: Address | undefined;
  readonly refusal: CosError | undefined;
  /** What was decided on the request itself; undefined where it came to no decision. */
  readonly access: AccessOutcome | undefined;
  /** What somebody has asked to happen to it. */
  readonly fault: Fault | undefined;
  /** When each of `STEPS` began that was come to, and when the answer was there; monotonic ms. */
  readonly times: readonly number[];
}

/** Who asks, and for what: the request in the names of declarations, its body as it is to be read. */
interface Asking {
  readonly caller: Caller;
  readonly request: WireRequest;
  readonly isSigned?: SignedParts["isSigned"] | undefined;
}

interface CorsOutcome {
  readonly match: CorsMatch | undefined;
  readonly rules: readonly CorsRule[];
  readonly fields: Answer["headers"];
}

/** A decision, and how it came about. */
export interface AccessOutcome {
  readonly question: AccessQuestion;
  readonly decision: Decision;
  /** What became of each statement of each policy, found out when it is asked for. */
  trace(): readonly TracedPolicy[];
  /** The ACL that could have allowed it; undefined where none could. */
  acl(): TracedAcl | undefined;
  /** The policies that would have to allow it, where nothing denies it. */
  missing(): readonly TracedPolicy["of"][];
}

/** What the steps have found out so far. */
class Progress implements Outcome {
  /** The dialect that answers; a form tells only in its fields which that is. */
  speaks: Dialect;
  readonly times: number[] = [];
  /** The addressed bucket; undefined before it was `sought`, and where there is none. */
  bucket: BucketRecord | undefined;
  sought = false;
  /** The region of a bucket of that name, wherever it was addressed. */
  foundIn: string | undefined;
  /** What the bucket's CORS rules add to the answer, once a page's request has been held against them. */
  cors: CorsOutcome | undefined;
  operation: Operation | undefined;
  caller: Caller | undefined;
  address: Address | undefined;
  refusal: CosError | undefined;
  access: AccessOutcome | undefined;
  fault: Fault | undefined;
  readonly #clock: Clock;

  constructor(dialect: Dialect, clock: Clock) {
    this.speaks = dialect;
    this.#clock = clock;
  }

  get dialect(): DialectName {
    return this.speaks.name;
  }

  /** The next of `STEPS` begins. */
  next(): void {
    this.times.push(this.#clock.monotonic());
  }
}

/**
 * What a handler is given. A class, because a getter in an object literal is made anew for every request, at the price
 * of reading a row.
 */
class Context implements OperationContext {
  readonly request: WireRequest;
  readonly caller: Caller;
  readonly key: string;
  readonly object: ObjectRecord | undefined;
  readonly deleteMarker: DeleteMarkerRecord | undefined;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Limits;
  readonly refuse = refuse;
  readonly #parts: PipelineParts;
  readonly #dialect: Dialect;
  readonly #address: Address;
  readonly #operation: Operation;
  readonly #bucket: BucketRecord | undefined;

  constructor(
    parts: PipelineParts,
    dialect: Dialect,
    request: WireRequest,
    address: Address,
    caller: Caller,
    operation: Operation,
    bucket: BucketRecord | undefined,
    version: VersionRecord | undefined,
  ) {
    this.request = request;
    this.caller = caller;
    this.key = address.kind === "object" ? address.key : "";
    this.object = version?.type === "delete-marker" ? undefined : version;
    this.deleteMarker = version?.type === "delete-marker" ? version : undefined;
    this.store = parts.store;
    this.clock = parts.clock;
    this.random = parts.random;
    this.limits = parts.installation.limits;
    this.#parts = parts;
    this.#dialect = dialect;
    this.#address = address;
    this.#operation = operation;
    this.#bucket = bucket;
  }

  get region(): string {
    return this.#address.region ?? this.#parts.installation.region;
  }

  get regional(): boolean {
    return this.#address.region !== undefined;
  }

  get authority(): string {
    return this.#address.authority;
  }

  get baseUrl(): string {
    return this.#address.baseUrl;
  }

  get bucketName(): string {
    return this.#address.kind === "service" ? "" : this.#address.bucket;
  }

  get shownBucketName(): string {
    return this.#dialect.shownBucket(this.bucketName, this.caller);
  }

  get bucket(): BucketRecord {
    if (this.#bucket === undefined) {
      throw new Error(`${this.#operation.name} reads a bucket that its declaration does not ask for`);
    }
    return this.#bucket;
  }

  // Handlers take these out of the context, so they are bound to it.
  readonly locate = (source: string): SourceAddress => this.#dialect.locate(source, this.caller);
  readonly may = async (wanted: Wanted): Promise<boolean> => {
    const question = { ...wanted, caller: this.caller };
    refuseState(this.#parts, { ...question, key: wanted.key });
    const documents = await documentsFor(question, this.store);
    const values = requestValues(this.request);
    const { versionId } = wanted;
    const own =
      versionId === undefined ? values : (key: string) => (key === "cos:versionid" ? [versionId] : values(key));
    return authorise(question, documents, own).allowed;
  };
}

/** The pipeline as the edge calls it. It never rejects: whatever happens becomes an answer. */
export function pipeline(parts: PipelineParts): (request: WireRequest) => Promise<Answer> {
  const { dialects, table, store, clock, installation } = parts;
  const { limits } = installation;
  const readers = new Map<Operation, InputReader>(table.map((operation) => [operation, inputReader(operation)]));
  const routers = new Map<Dialect, Router>(
    dialects.map((dialect) => [dialect, router(table.filter(({ only = dialect.name }) => only === dialect.name))]),
  );

  async function run(wire: WireRequest, progress: Progress): Promise<Answer> {
    progress.next();
    let dialect = progress.speaks;
    let address = (progress.address = dialect.address(wire));
    const translated = dialect.translate(wire, address);
    const operation = (routers.get(dialect) as Router).find(translated, address.kind);
    progress.operation = operation;
    if (operation.preflight === true) return await answerPreflight(dialect, translated, address, operation, progress);
    progress.next();
    const asking = takesForm(operation)
      ? askingForm(wire, progress)
      : askingRequest(dialect, wire, translated, progress);
    const asked = asking instanceof Promise ? await asking : asking;
    const { caller, isSigned } = asked;
    let { request } = asked;
    address = progress.address as Address;
    dialect = progress.speaks;
    // Before anything changes: the answer to a request that takes the rules away is still the page's to read.
    if (request.headers.get("origin") !== undefined) progress.cors = await corsOf(request, progress);
    refuseMode(operation, caller, clock.now());
    if (parts.publishedKeys === true && progress.cors?.match === undefined)
      refuseForeignPage(request, caller, progress.cors?.rules ?? []);
    if (operation.handle === undefined) throw refuse("NotImplemented", { message: notBuilt(operation) });
    if (address.kind === "object") refuseKey(address.key, operation, limits.keyBytesMax);

    progress.next();
    if (parts.rates?.any === true) await refuseHaste(parts.rates, operation, address, caller);
    let bucket: BucketRecord | undefined;
    const inBucket = address.kind !== "service" && operation.permission !== "signed";
    if (inBucket) bucket = await seekBucket(progress);
    refuseState(parts, { caller, bucket, key: keyOf(address), permission: operation.permission });
    if (inBucket) {
      if (bucket === undefined) throw noSuchBucket(progress);
      const { expectedOwner } = address;
      if (expectedOwner !== undefined && expectedOwner !== bucket.ownerUin && expectedOwner !== bucket.ownerAppid) {
        throw refuse("AccessDenied");
      }
      if (isSigned !== undefined && store.configurations.has(bucket, BUCKET_STRICT_SIGNATURE)) {
        await refuseUnsigned(request, wire, bucket, operation, isSigned);
      }
      if (operation.shows === true && store.configurations.has(bucket, BUCKET_REFERER)) {
        await refusePage(request, bucket, caller);
      }
    }
    const key = keyOf(address);
    const wish = request.headers.get("x-cosbox-fault");
    if (wish !== undefined && isTrusted(caller) && isSigned?.("header", "x-cosbox-fault") === true) {
      progress.fault = await parts.faults?.asked(wish);
    }
    if (parts.faults?.any === true && progress.fault === undefined) {
      const subject = { operation: operation.name, bucket: bucketNameOf(address), key, callers: namesOf(caller) };
      progress.fault = await parts.faults.find(subject);
    }
    if (progress.fault !== undefined) {
      if (progress.fault.delayMs !== undefined) await sleep(clock, progress.fault.delayMs);
      const refusal = refusalOf(progress.fault, "before");
      if (refusal !== undefined) throw refusal;
      const breaking = refusalOf(progress.fault, "during");
      if (breaking !== undefined) request = withBody(request, breakingBody(request.body, breaking));
    }
    let version: VersionRecord | undefined;
    if (operation.loads !== undefined && bucket !== undefined && key !== undefined) {
      const id = operation.loads === "version" ? await versionIdField.read({ request, limits }) : undefined;
      version = (await store.objects.findVersion(bucket, key, id))?.record;
    }
    const object = version?.type === "delete-marker" ? undefined : version;
    progress.next();
    const { action, aliases, permission } = operation;
    const prefix = operation.lists === true ? request.target.query.get("prefix") : undefined;
    const versionId = request.target.query.get("versionid");
    const made = permission === "signed" ? bucketToMake(address, caller, installation) : undefined;
    const question = { caller, action, aliases, permission, bucket, made, key, versionId, prefix, object };
    const found = documentsFor(question, store);
    const attached = found instanceof Promise ? await found : found;
    const read = (): Promise<Readonly<Record<string, unknown>>> =>
      (readers.get(operation) as InputReader).read({
        request,
        limits,
        ...(dialect.ownDocument && {
          ownDocument: (name: string, bytes: Buffer) => (dialect.ownDocument as OwnDocument)(name, bytes, caller),
        }),
      });
    // Tags in a document count for the decision; what is wrong with it is told to whoever may set some.
    const { setsTags } = operation;
    const asksTags = setsTags !== undefined && asksFor([REQUEST_TAG], caller, attached.bucketPolicy);
    const [ahead] = asksTags ? await Promise.allSettled([read()]) : [];
    const brought = ahead?.status === "fulfilled" && setsTags ? setsTags(ahead.value as never) : NO_TAGS;
    const values = requestValues(request, ahead && brought);
    const decision = authorise(question, attached, values);
    progress.access = {
      question,
      decision,
      trace: () => explainAccess(question, attached, values),
      acl: () => explainAcl(question, attached),
      missing: () => wouldHaveToAllow(question, attached, values),
    };
    const keysDecide = operation.perKey === true && dependsOnKey(caller, attached);
    if (!decision.allowed && !keysDecide) throw refuse("AccessDenied", { cause: describeDecision(decision) });

    progress.next();
    const bytesPerSecond = trafficLimitOf(request, limits);
    if (bytesPerSecond !== undefined) request = withBody(request, pacedBody(request.body, bytesPerSecond, clock));
    if (ahead?.status === "rejected") throw ahead.reason;
    const input = ahead === undefined ? await read() : ahead.value;
    const context = new Context(parts, dialect, request, address, caller, operation, bucket, version);
    progress.next();
    const leave = operation.uploads === true ? await enterUpload(parts, address) : undefined;
    const begun = operation.handle(context, input as never);
    const handled = leave === undefined ? begun : begun.finally(leave);
    const working = progress.fault === undefined ? handled : handled.then((output) => refusedAfter(output, progress));
    const documents = dialect.documents(wire, caller);
    const answer =
      operation.keepAlive === true
        ? await answerWithin(
            working.then((output) => written(operation, output, documents)),
            {
              clock,
              earlyAnswerMs: limits.earlyAnswerMs,
              status: operation.status,
              errorDocument: (error) => {
                progress.refusal = asRefusal(error, wire);
                parts.onAnswer?.(wire, { status: operation.status, headers: [] }, progress);
                return dialect.errorDocument(progress.refusal, wire);
              },
            },
          )
        : written(operation, await working, documents);
    const shown = dialect.writeAnswer(answer, operation, wire);
    return bytesPerSecond === undefined || wire.method === "HEAD" ? shown : pacedAnswer(shown, bytesPerSecond, clock);
  }

  /** Who asks, in the header or the query, and what they ask for. */
  function askingRequest(
    dialect: Dialect,
    wire: WireRequest,
    translated: WireRequest,
    progress: Progress,
  ): Asking | Promise<Asking> {
    const address = progress.address as Address;
    const settle = ({ caller, body, isSigned }: Authenticated): Asking => {
      progress.caller = caller;
      if (address.kind !== "service") {
        const bucket = dialect.bucketName(address, caller);
        if (bucket !== address.bucket) progress.address = { ...address, bucket };
      }
      return { caller, isSigned, request: body === translated.body ? translated : withBody(translated, body) };
    };
    const authenticating = dialect.authenticate(wire, address);
    return authenticating instanceof Promise ? authenticating.then(settle) : settle(authenticating);
  }

  /** The same of a form: its fields tell the dialect, the key, who asks and what for; its file is still to come. */
  async function askingForm(wire: WireRequest, progress: Progress): Promise<Asking> {
    const spoken = (fields: ReadonlyMap<string, string>): Dialect =>
      dialects.find((one) => one.claimsForm(fields)) ?? progress.speaks;
    const form = await readForm(wire.headers.get("content-type"), wire.body, limits, (fields) => {
      progress.speaks = spoken(fields);
    });
    const dialect = spoken(form.fields);
    const named = (progress.address =
      dialect === progress.speaks ? (progress.address as Address) : dialect.address(wire));
    progress.speaks = dialect;
    if (named.kind !== "bucket") throw new Error("a form is sent to a bucket");
    const fields = withFileName(form.fields, form.fileName);
    const encoded = fields.get("policy");
    const bounds = { bytesMax: limits.formBytesMax, conditionsMax: limits.formConditionsMax };
    const policy = encoded === undefined ? undefined : readFormPolicy(encoded, bounds);
    const caller = await dialect.authenticateForm({ fields, policy }, wire, named);
    progress.caller = caller;
    const bucket = dialect.bucketName(named, caller);
    progress.address = { ...named, kind: "object", bucket, key: fields.get("key") as string };
    if (policy !== undefined) {
      checkFormPolicy(policy, {
        fields,
        buckets: [bucket, named.bucket],
        // A form tells until when it holds, and not when it was signed.
        nowMs: presentFor(clock, policy.expiresMs, "undated link", limits.signSkewMs),
        mayBeUncovered: (field) => dialect.mayBeUncovered(field),
      });
    }
    const file =
      policy === undefined
        ? form.file
        : watchedFile(form.file, (bytes, complete) => checkFormLength(policy, bytes, complete));
    return { caller, request: formRequest(wire, dialect.formHeaders(fields), file) };
  }

  /** Holds a signed request against the bucket's strict signature rules. (messages of the strict signature page) */
  async function refuseUnsigned(
    { headers }: WireRequest,
    { target }: WireRequest,
    bucket: BucketRecord,
    { action }: Operation,
    isSigned: SignedParts["isSigned"],
  ): Promise<void> {
    const rules = await store.configurations.find(bucket, BUCKET_STRICT_SIGNATURE);
    if (rules === undefined) return;
    const names = Array.from(headers.entries(), ([name]) => name);
    const evidence = unsignedPart(rules, action, { headers: names, parameters: target.query.names(), isSigned });
    if (evidence === undefined) return;
    const part = evidence.part === "header" ? "header" : "param";
    throw refuse("AccessDenied", {
      message: `Strict signature missing ${part} that must be signed`,
      evidence: () => evidence,
    });
  }

  /** Holds a read against the bucket's referer rules. (message of the 403 troubleshooting page) */
  async function refusePage({ headers }: WireRequest, bucket: BucketRecord, caller: Caller): Promise<void> {
    const rules = await store.configurations.find(bucket, BUCKET_REFERER);
    const evidence = rules && refererFault(rules, headers.get("referer"), caller);
    if (evidence === undefined) return;
    throw refuse("AccessDenied", { message: "You are denied by bucket referer rule", evidence: () => evidence });
  }

  /** The addressed bucket, read once; undefined also where the address names another region than the bucket's. */
  async function seekBucket(progress: Progress): Promise<BucketRecord | undefined> {
    const { address } = progress;
    if (progress.sought || address === undefined || address.kind === "service") return progress.bucket;
    const found = await store.buckets.find(address.bucket);
    progress.bucket = address.region === undefined || found?.region === address.region ? found : undefined;
    progress.foundIn = found?.region;
    progress.sought = true;
    return progress.bucket;
  }

  /** Asks the bucket's CORS rules alone: whoever sends the request to come is authenticated then. */
  async function answerPreflight(
    dialect: Dialect,
    request: WireRequest,
    named: Address,
    operation: Operation,
    progress: Progress,
  ): Promise<Answer> {
    progress.caller = ANONYMOUS;
    const address = named.kind === "service" ? named : { ...named, bucket: dialect.bucketName(named, ANONYMOUS) };
    progress.address = address;
    if (parts.rates?.any === true) await refuseHaste(parts.rates, operation, address, ANONYMOUS);
    const bucket = await seekBucket(progress);
    refuseState(parts, { caller: ANONYMOUS, bucket, key: keyOf(address), permission: operation.permission });
    if (bucket === undefined) throw noSuchBucket(progress);
    const input = await (readers.get(operation) as InputReader).read({ request, limits });
    const context = new Context(parts, dialect, request, address, ANONYMOUS, operation, bucket, undefined);
    const output = await (operation.handle as NonNullable<Operation["handle"]>)(context, input as never);
    return dialect.writeAnswer(written(operation, output, dialect.documents(request, ANONYMOUS)), operation, request);
  }

  /** What the bucket's CORS rules say of a request and add to its answer. */
  async function corsOf({ method, headers }: WireRequest, progress: Progress): Promise<CorsOutcome> {
    const bucket = await seekBucket(progress);
    const configuration = bucket && (await store.configurations.find(bucket, BUCKET_CORS));
    if (configuration === undefined) return NO_CORS;
    const origin = headers.get("origin");
    // The answer to what a browser asks ahead says the rest itself.
    if (origin === undefined || progress.operation?.preflight === true) {
      return { match: undefined, rules: configuration.rules, fields: varyFields(configuration, undefined) };
    }
    const question = { origin, method, headers: [] };
    const match = matchCors(configuration, question);
    const fields = match === undefined ? [] : corsFields({ ...match, rule: { ...match.rule, headers: [] } }, question);
    return { match, rules: configuration.rules, fields: [...fields, ...varyFields(configuration, match)] };
  }

  /** The answer with what CORS adds to every one, also to a refusal that came before the rules were asked. */
  async function forBrowsers(answer: Answer, request: WireRequest, progress: Progress): Promise<Answer> {
    try {
      const { fields } = progress.cors ?? (await corsOf(request, progress));
      if (fields.length === 0 || answer.headers.some(([name]) => name === "Vary")) return answer;
      return { ...answer, headers: [...answer.headers, ...fields] };
    } catch (error) {
      parts.onFault(error, request);
      return answer;
    }
  }

  /** Whether nothing of CORS concerns the answer, as is so of nearly every request. */
  function isNoBrowsers({ address, bucket, cors, sought }: Progress): boolean {
    if (cors !== undefined) return cors.fields.length === 0;
    if (address === undefined || address.kind === "service") return true;
    return sought && (bucket === undefined || !store.configurations.has(bucket, BUCKET_CORS));
  }

  function asRefusal(error: unknown, request: WireRequest): CosError {
    if (error instanceof CosError) {
      // What no client can mend, such as a key management service that is away, is told to whoever runs the server.
      if (error.status === 500 && error.cause instanceof Error) parts.onFault(error.cause, request);
      return error;
    }
    parts.onFault(error, request);
    if (error instanceof StorageUnavailable) return refuse("ServiceUnavailable", { cause: error });
    if (error instanceof TransactionContended) return refuse("PathConflict", { cause: error });
    return refuse("InternalError", { cause: error });
  }

  return async (request) => {
    let answer: Answer;
    const progress = new Progress(dialectOf(dialects, request), clock);
    try {
      answer = await run(request, progress);
    } catch (error) {
      progress.refusal = asRefusal(error, request);
      answer = progress.speaks.writeError(progress.refusal, request);
    }
    if (progress.refusal !== undefined) answer = withExplanation(answer, parts.explainedAt?.(request.ids.requestId));
    if (progress.fault !== undefined) answer = faultyAnswer(answer, progress.fault, clock);
    if (!isNoBrowsers(progress)) answer = await forBrowsers(answer, request, progress);
    progress.next();
    parts.onAnswer?.(request, answer, progress);
    return answer;
  };
}

/** Counts an upload of the addressed key until what is given back is called. Raises UploadConflict for one too many. */
async function enterUpload(
  { meter, installation: { limits } }: PipelineParts,
  address: Address,
): Promise<(() => void) | undefined> {
  const bound = limits.keyUploadsMax;
  if (meter === undefined || bound === 0 || address.kind !== "object") return undefined;
  const name = `${address.bucket}/${address.key}`;
  if (await meter.enter(name, bound)) return () => meter.leave(name);
  const told = `As many uploads of this key as may be were under way when it came.`;
  throw refuse("UploadConflict", { evidence: () => ({ kind: "limit", name: "keyUploadsMax", bound, told }) });
}

/** Raises SlowDown for one request too many. */
async function refuseHaste(rates: RateGate, { name }: Operation, address: Address, caller: Caller): Promise<void> {
  const account = caller.kind === "anonymous" ? undefined : caller.uin;
  const refusal = await rates.admit({ operation: name, bucket: bucketNameOf(address), account });
  if (refusal !== undefined) throw refusal;
}

/** Raises what the state of something that is asked for comes to. */
function refuseState(
  { states, clock }: PipelineParts,
  { caller, bucket, key, permission }: Pick<AccessQuestion, "caller" | "bucket" | "key" | "permission">,
): void {
  if (states?.any !== true) return;
  const refusal = states.refusal({ caller, bucket, key, reads: permission === "read", nowMs: clock.now() });
  if (refusal !== undefined) throw refusal;
}

const NO_CORS: CorsOutcome = { match: undefined, rules: [], fields: [] };

/** The answer to a refusal with the address of its explanation, where there is one. */
export function withExplanation(answer: Answer, address: string | undefined): Answer {
  if (address === undefined || answer.status < 400) return answer;
  return { ...answer, headers: [...answer.headers, ["x-cosbox-explain", address]] };
}

function keyOf(address: Address): string | undefined {
  return address.kind === "object" ? address.key : undefined;
}

/** What policies call a bucket that the caller makes; undefined where the service itself is asked. */
function bucketToMake(address: Address, caller: Caller, { region }: Installation): AccessQuestion["made"] {
  if (address.kind === "service" || caller.kind === "anonymous") return undefined;
  const { appid: ownerAppid, uin: ownerUin } = caller;
  return { name: address.bucket, region: address.region ?? region, ownerAppid, ownerUin };
}

function bucketNameOf(address: Address): string | undefined {
  return address.kind === "service" ? undefined : address.bucket;
}

/** Whether the caller may ask for a fault in its own request: the root of an account, with a key that lasts. */
function isTrusted(caller: Caller): boolean {
  return caller.kind === "account" && caller.user === caller.uin && caller.session === undefined;
}

/** What a caller goes by where faults name one. */
function namesOf(caller: Caller): readonly string[] {
  return caller.kind === "anonymous" ? ["anonymous"] : [caller.secretId, caller.user, caller.uin];
}

function refusedAfter<T>(output: T, { fault }: Progress): T {
  const refusal = refusalOf(fault, "after");
  if (refusal !== undefined) throw refusal;
  return output;
}

/** Where the bucket is in another region, its record says so; the answer does not. */
function noSuchBucket({ address, foundIn }: Progress): CosError {
  const addressedRegion = address?.region;
  if (foundIn === undefined || addressedRegion === undefined) return refuse("NoSuchBucket");
  return refuse("NoSuchBucket", { evidence: () => ({ kind: "region", bucketRegion: foundIn, addressedRegion }) });
}

/** An operation that somebody signs in a form takes nothing but forms. */
const takesForm = ({ authentication, handle }: Operation): boolean =>
  handle !== undefined && authentication.includes("form");

const notBuilt = (operation: Operation): string => `The operation ${operation.name} is not implemented yet.`;

/** Default deny: an operation answers only the ways of signing that it lists. (message and time: documented transcript) */
function refuseMode(operation: Operation, caller: Caller, nowMs: number): void {
  const mode = caller.kind === "anonymous" ? "anonymous" : caller.via;
  if (operation.authentication.includes(mode)) return;
  if (mode !== "anonymous") throw refuse("AccessDenied");
  throw refuse("AccessDenied", {
    message: "Check auth failure because signature empty.",
    extras: [["ServerTime", formatIsoSeconds(nowMs)]],
  });
}

function refuseForeignPage({ method, headers }: WireRequest, caller: Caller, rules: readonly CorsRule[]): void {
  if (!isForeignPage({ method, header: (name) => headers.get(name) }, caller)) return;
  const question = { origin: headers.get("origin"), method, headers: [] };
  const need = caller.kind === "anonymous" ? "unsigned-write" : "published-keys";
  throw refuse("AccessForbidden", { evidence: () => corsEvidence(rules, question, need) });
}

function refuseKey(key: string, { route }: Operation, keyBytesMax: number): void {
  const fault = keyFault(key, route.method === "PUT" || route.method === "POST", keyBytesMax);
  if (fault === undefined) return;
  const told = `The key has ${Buffer.byteLength(key)} bytes.`;
  const evidence = (): Evidence => ({ kind: "limit", name: "keyBytesMax", bound: keyBytesMax, told });
  throw refuse(fault, fault === "KeyTooLong" ? { evidence } : {});
}

/** Writes an operation's output by its declaration. */
function written(operation: Operation, output: Readonly<Record<string, unknown>>, document: DocumentWriter): Answer {
  const draft: AnswerDraft = { status: operation.status, document, headers: [], body: undefined };
  for (const name in operation.output) {
    (operation.output[name] as OutputField<unknown>).write(draft, output[name]);
  }
  const { status, headers, body } = draft;
  return body === undefined ? { status, headers } : { status, headers, body };
}
