/** The dialect `cos`: the COS XML API v5 as its official clients speak it. It translates and decides nothing. */

import { ANONYMOUS, callerWith, type Credential } from "../../access/caller.ts";
import { presentFor } from "../../access/signing-time.ts";
import type { ErrorsMode } from "../../errors/cos-error.ts";
import type { Address, Dialect } from "../../http/pipeline.ts";
import type { WireRequest } from "../../http/request.ts";
import type { Clock } from "../../ports/clock.ts";
import { type AddressingRules, type CosAddress, notBuiltThere, readAddress } from "../../addressing/address.ts";
import { readCopySource } from "../../addressing/copy-source.ts";
import { errorAnswer, errorDocument } from "./error.ts";
import { authenticateCosForm, cosFormHeaders, isCosForm, mayBeUncovered } from "./form.ts";
import {
  authenticateCos,
  type CosEvidence,
  type FindsKeys,
  type SignatureOptions,
  signedRequestView,
} from "./signature.ts";

export { signCos } from "./sign.ts";

export interface CosDialectOptions {
  readonly rules: AddressingRules;
  /** The credential of a SecretId with its token, or undefined when there is none. */
  readonly keys: FindsKeys<Credential | undefined | Promise<Credential | undefined>>;
  readonly clock: Clock;
  readonly errors: ErrorsMode;
  /** How far the start of a signature may lie in the future, ms. */
  readonly signSkewMs: number;
  /** Refuses what a signature does not cover: host, `x-cos-*` headers, parameters and fields of forms. */
  readonly strictSigning: boolean;
}

/** What the pipeline needs to know of an address, beside what the dialect reads from it. */
type CosPipelineAddress = Address & { readonly cos: CosAddress };

/** Makes the dialect. */
export function cosDialect({
  rules,
  keys,
  clock,
  errors,
  signSkewMs,
  strictSigning,
}: CosDialectOptions): Dialect<CosPipelineAddress> {
  const options: SignatureOptions = {
    skewMs: signSkewMs,
    strictSigning,
    presentFor: (startMs, signedFor) => presentFor(clock, startMs, signedFor, signSkewMs),
  };

  /** Whether the request's authority or path names a bucket, for `Resource`; a host that cannot be read names none. */
  function namesBucket(request: WireRequest): boolean {
    try {
      const { kind } = readAddress(request.target, rules);
      return kind === "bucket" || kind === "object";
    } catch {
      return true;
    }
  }

  return {
    name: "cos",
    // What speaks no other dialect speaks this one.
    claims: () => true,
    translate: (request) => request,
    bucketName: ({ bucket }) => bucket,
    shownBucket: (name) => name,
    documents: () => (_root, _data, standard) => standard(),
    writeAnswer: (answer) => answer,
    address(request) {
      const cos = readAddress(request.target, rules);
      if (cos.kind === "other") throw notBuiltThere(cos);
      const authority = request.target.authority.text;
      const scheme = request.secure ? "https" : "http";
      const inPath = cos.kind !== "service" && cos.style === "path" ? `/${cos.bucket}` : "";
      const baseUrl = `${scheme}://${authority}${inPath}`;
      const { region } = cos;
      if (cos.kind === "service") return { kind: cos.kind, region, authority, baseUrl, cos };
      if (cos.kind === "bucket") return { kind: cos.kind, bucket: cos.bucket, region, authority, baseUrl, cos };
      return { kind: cos.kind, bucket: cos.bucket, key: cos.key, region, authority, baseUrl, cos };
    },
    authenticate(request, address) {
      const view = signedRequestView(request, address.cos);
      const authenticated = (evidence: CosEvidence<Credential>) => {
        if (evidence.kind === "anonymous") return { caller: ANONYMOUS, body: request.body };
        const { credential, isSigned, via } = evidence;
        return { caller: callerWith(credential, via), body: request.body, isSigned };
      };
      const evidence = authenticateCos(view, keys, clock.now(), options);
      return evidence instanceof Promise ? evidence.then(authenticated) : authenticated(evidence);
    },
    claimsForm: isCosForm,
    formHeaders: cosFormHeaders,
    // The service takes fields that the policy does not speak of.
    mayBeUncovered: (field) => mayBeUncovered(field, strictSigning),
    async authenticateForm(form, request, address) {
      const view = signedRequestView(request, address.cos);
      const evidence = await authenticateCosForm(form, view, keys, clock.now(), options);
      return evidence.kind === "anonymous" ? ANONYMOUS : callerWith(evidence.credential, evidence.via);
    },
    locate: (source) => readCopySource(source, rules),
    writeError: (error, request) => errorAnswer(error, request, errors, namesBucket(request)),
    errorDocument: (error, request) => errorDocument(error, request, errors, namesBucket(request)),
  };
}
