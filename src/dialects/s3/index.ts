/**
 * The dialect `s3`: COS as S3 clients speak to it. It translates and decides nothing: an object that was put by one
 * dialect is the same object in the other.
 *
 * A request speaks S3 when it is signed with AWS Signature Version 4 or 2, in the header or in the query; without a
 * signature, when it carries an `x-amz-` header or asks a host of the setting `s3Hosts`. Credentials of both kinds in one
 * request are InvalidRequest. Access keys are SecretId and SecretKey. The region of a signature's scope may be any.
 *
 * - Names of buckets end in an APPID (`demo-1250000000`). With the setting `bareBuckets` an S3 client may leave it out
 *   and is told names without it: the APPID is the caller's own, and the root account's for anonymous requests.
 * - `x-amz-*` headers stand for `x-cos-*` and come back as such. Those of features that are not built answer
 *   NotImplemented by name: legal holds, the mode GOVERNANCE, redirects of a website and bucket keys are among these. The class
 *   ARCHIVE is GLACIER to S3 clients. `x-amz-request-payer` and `x-amz-bypass-governance-retention` are taken and mean nothing,
 *   as in S3 for buckets whose owner pays and for objects locked in COMPLIANCE.
 * - A copy whose source is missing names the source, and is NoSuchBucket where its bucket is what is missing.
 * - Where the two services answer otherwise, each dialect answers as its own: to S3 clients the same completion of an upload
 *   succeeds again while its object stands under the key, a version that is gone is deleted with 204, and an origin of a CORS
 *   rule is any text with one `*`; to COS, and with `strictS3`, these are NoSuchUpload, NoSuchVersion and InvalidArgument. A
 *   rule of intelligent tiering that is not there is NoSuchConfiguration, and to COS an empty document.
 * - Bodies: hashed, unsigned, and in `aws-chunked` encoding with or without signatures and trailing fields. Bytes of a
 *   signed chunk are taken once its signature holds; a signed chunk has 16 MiB at most. With the setting `strictS3`
 *   `aws-chunked` answers NotImplemented and `x-amz-checksum-*` counts for nothing, as on the live service.
 * - With version 4 the host and every `x-amz-` and `x-cos-` header have to be signed. Version 2 signs no parameters but a
 *   few; requests with others, except those that choose a page of a list, are AccessDenied. SigV4A is NotImplemented.
 * - `x-amz-` parameters of a URL signed with version 4 stand for headers that its user does not send, but for those of the
 *   signature and `x-amz-checksum-*`: presigners put the class, the ACL, metadata, tags and the lock of an object there.
 * - Checksums are kept when the client sends one or asks for one; S3 makes a CRC64NVME of its own accord, cosbox does
 *   not. Those of single parts are kept for objects of up to 1,000 parts.
 * - A key may not begin with `/` or `\`, names of buckets have no dots, delimiters are one character, a part has 1 MB at
 *   least: the rules of COS, whoever asks.
 * - A bucket policy may be written in S3's grammar: actions, principals (the UIN of an account, `arn:aws:iam::<UIN>:root`,
 *   `*`), `arn:aws:s3:::` resources and conditions that have an exact counterpart in COS; `s3:GetObject` is on current versions
 *   and `s3:GetObjectVersion` on those that a request names, which to COS is the condition `cos:versionid`; anything else, such as
 *   `s3:Get*`, `NotPrincipal`, `?` or a Deny for `*`, is MalformedPolicy. It is answered in that grammar too, whoever has set it; one
 *   statement may come back as two, since actions on a bucket and on its objects are apart.
 * - To delete a bucket ends its unfinished uploads, where it holds nothing else; to COS, and with `strictS3`, such a bucket
 *   is BucketNotEmpty.
 * - `Owner` and `Initiator` have ids of COS. `x-amz-expected-bucket-owner` takes the owner's UIN or its APPID.
 * - A form (POST Object) is S3's when it has credentials of S3's, or `x-amz-` fields and none of COS's. Every field has to be
 *   covered by its policy, but for those that S3 leaves out and `bucket`; only in the key `${filename}` is replaced.
 * - Content types follow the key where the client names none, as in COS, where S3 says `binary/octet-stream`.
 */

import { ANONYMOUS, type Caller, callerWith, type Credential } from "../../access/caller.ts";
import { presentFor, type SignedFor } from "../../access/signing-time.ts";
import { type AddressingRules, type CosAddress, notBuiltThere, readAddress } from "../../addressing/address.ts";
import { readCopySource } from "../../addressing/copy-source.ts";
import type { RefusalSubject } from "../../errors/cos-error.ts";
import type { Address, Dialect } from "../../http/pipeline.ts";
import type { WireRequest } from "../../http/request.ts";
import type { Clock } from "../../ports/clock.ts";
import { s3Document, type Writing } from "./documents.ts";
import { errorAnswer, errorDocument, idHeaders } from "./error.ts";
import { isHoisted, withHoisted } from "./hoisted.ts";
import { bareName, wholeName } from "./names.ts";
import { policyFromS3, type PolicyNames, policyToS3 } from "./policy.ts";
import { authenticateS3Form, isS3Form, mayBeUncovered, s3FormHeaders } from "./form.ts";
import { payloadOf } from "./payload.ts";
import {
  authenticateS3,
  type FindsKeys,
  hasAwsParameters,
  hasCosParameters,
  isAwsAuthorization,
  type S3Evidence,
} from "./signature.ts";
import { ownClasses } from "./storage-classes.ts";
import { isSecondListing, ownKeyId, sentName, translated, translatedAnswer } from "./translate.ts";

export interface S3DialectOptions {
  readonly rules: AddressingRules;
  /** The credential of an access key id with its token, or undefined when there is none. */
  readonly keys: FindsKeys<Credential | undefined | Promise<Credential | undefined>>;
  readonly clock: Clock;
  /** How far the time of a signature may lie from ours, ms. */
  readonly signSkewMs: number;
  /** Hosts, and domains above hosts, whose anonymous requests speak S3; `*` for every host. */
  readonly hosts: readonly string[];
  /** APPID that completes the bucket names of anonymous requests; undefined where names have to be whole. */
  readonly bareNames: { readonly appid: string } | undefined;
  /** Refuses what the live service refuses, such as bodies in `aws-chunked` encoding. */
  readonly strict: boolean;
}

/** What the pipeline needs to know of an address, beside what the dialect reads from it. */
type S3Address = Address & { readonly hostBucket: string | undefined };

const DOCUMENTS_WITH_CLASSES: ReadonlySet<string> = new Set(["LifecycleConfiguration", "RestoreRequest"]);

/** Makes the dialect. */
export function s3Dialect(options: S3DialectOptions): Dialect<S3Address> {
  const { rules, keys, clock, signSkewMs, bareNames, strict } = options;
  const asSigned = (ms: number, signedFor: SignedFor): number => presentFor(clock, ms, signedFor, signSkewMs);
  const hosts = options.hosts.map((host) => host.toLowerCase());
  const everyHost = hosts.includes("*");

  const addressOf = ({ target }: WireRequest): CosAddress =>
    readAddress(target, rules, bareNames === undefined ? {} : { bareNames: true });

  const appidOf = (caller: Caller, anonymous: string): string => (caller.kind === "account" ? caller.appid : anonymous);

  /** Both ways to write the names of buckets for a caller. */
  function namesFor(caller: Caller): PolicyNames {
    if (bareNames === undefined) return { whole: (name) => name, bare: (name) => name };
    const appid = appidOf(caller, bareNames.appid);
    return { whole: (name) => wholeName(name, appid), bare: (name) => bareName(name, appid) };
  }

  function subjectOf(request: WireRequest): RefusalSubject {
    try {
      const address = addressOf(request);
      if (address.kind === "bucket") return { bucket: address.bucket, key: undefined };
      if (address.kind === "object") return { bucket: address.bucket, key: address.key };
    } catch {
      // What cannot be read names nothing.
    }
    return { bucket: undefined, key: undefined };
  }

  return {
    name: "s3",
    claims({ headers, method, target }) {
      // Credentials decide, whatever else stands in the request; who has several is refused in the words of the first.
      const authorization = headers.get("authorization");
      if (authorization !== undefined) return isAwsAuthorization(authorization);
      if (hasCosParameters(target.query)) return false;
      if (hasAwsParameters(target.query)) return true;
      const { host } = target.authority;
      if (everyHost || hosts.some((one) => host === one || host.endsWith(`.${one}`))) return true;
      for (const [name] of headers.entries()) if (name.startsWith("x-amz-")) return true;
      // A form tells what it speaks in its fields, which come later than its bucket; only here may that be a bare name.
      return bareNames !== undefined && method === "POST" && isForm(headers.get("content-type"));
    },

    address(request) {
      const found = addressOf(request);
      if (found.kind === "other") throw notBuiltThere(found);
      const { region } = found;
      const authority = request.target.authority.text;
      const scheme = request.secure ? "https" : "http";
      const inPath = found.kind !== "service" && found.style === "path" ? `/${found.bucket}` : "";
      const expectedOwner = withHoisted(request).get("x-amz-expected-bucket-owner");
      const shared = {
        region,
        authority,
        baseUrl: `${scheme}://${authority}${inPath}`,
        ...(expectedOwner === undefined ? {} : { expectedOwner }),
      };
      if (found.kind === "service") return { kind: found.kind, hostBucket: undefined, ...shared };
      const { bucket } = found;
      const hostBucket = found.style === "host" ? bucket : undefined;
      if (found.kind === "bucket") return { kind: found.kind, bucket, hostBucket, ...shared };
      return { kind: found.kind, bucket, key: found.key, hostBucket, ...shared };
    },

    translate: (request, { kind }) => translated(request, { kind, strict }),

    authenticate(request, { hostBucket, ...address }) {
      const authenticated = (evidence: S3Evidence<Credential>) => {
        if (evidence.kind === "anonymous") return { caller: ANONYMOUS, body: payloadOf(request, undefined, strict) };
        const { credential, isSigned, seed, via } = evidence;
        return {
          caller: callerWith(credential, via),
          body: payloadOf(request, seed, strict),
          isSigned: (part: "header" | "parameter", name: string) =>
            isSigned(part, sentName(name)) ||
            isSigned(part, name) ||
            (part === "header" && isHoisted(request, sentName(name))),
        };
      };
      const evidence = authenticateS3(request, keys, clock.now(), {
        skewMs: signSkewMs,
        presentFor: asSigned,
        hostBucket,
        bucket: address.kind === "service" ? undefined : address.bucket,
      });
      return evidence instanceof Promise ? evidence.then(authenticated) : authenticated(evidence);
    },

    claimsForm: isS3Form,
    formHeaders: s3FormHeaders,
    mayBeUncovered,

    async authenticateForm(form, request, { hostBucket }) {
      const evidence = await authenticateS3Form(form, request, keys, clock.now(), {
        skewMs: signSkewMs,
        presentFor: asSigned,
        hostBucket,
      });
      return evidence.kind === "signed" ? callerWith(evidence.credential, evidence.via) : ANONYMOUS;
    },

    bucketName({ bucket }, caller) {
      return bareNames === undefined ? bucket : wholeName(bucket, appidOf(caller, bareNames.appid));
    },

    shownBucket: (name, caller) => namesFor(caller).bare(name),

    locate(source, caller) {
      const complete =
        bareNames === undefined ? undefined : (name: string) => wholeName(name, appidOf(caller, bareNames.appid));
      return readCopySource(source, rules, complete);
    },

    ownDocument(name, bytes, caller) {
      if (name === "policy") return Buffer.from(policyFromS3(bytes.toString("utf8"), namesFor(caller)));
      if (name === "ServerSideEncryptionConfiguration")
        return Buffer.from(ownKeyId(bytes.toString("latin1")), "latin1");
      return DOCUMENTS_WITH_CLASSES.has(name) ? Buffer.from(ownClasses(bytes.toString("latin1")), "latin1") : bytes;
    },

    documents(request, caller) {
      let writing: Writing | undefined;
      return (root, data, standard) => {
        if (root === "policy") return policyToS3(standard(), namesFor(caller));
        writing ??= {
          bucketName: namesFor(caller).bare,
          listing: listingOf(request),
        };
        return s3Document(root, data, standard, writing);
      };
    },

    writeAnswer(answer, operation, request) {
      const out = translatedAnswer(answer, idHeaders(request));
      if (operation.name !== "PutBucket") return out;
      const { bucket } = subjectOf(request);
      return { ...out, headers: [["Location", `/${bucket ?? ""}`], ...out.headers] };
    },

    writeError: (error, request) => errorAnswer(error, request, subjectOf(request)),
    errorDocument: (error, request) => errorDocument(error, request, subjectOf(request)),
  };
}

function isForm(contentType: string | undefined): boolean {
  return /^multipart\/form-data *(;|$)/i.test(contentType ?? "");
}

function listingOf(request: WireRequest): Writing["listing"] {
  if (!isSecondListing(request, true)) return undefined;
  const { query } = request.target;
  return {
    startAfter: query.get("start-after"),
    token: query.get("continuation-token"),
    fetchOwner: query.get("fetch-owner")?.toLowerCase() === "true",
  };
}
