/**
 * Reads where a request points from its authority and path: the service, a bucket, an object, or a part of the service
 * that lives under hosts of its own. The socket's address plays no part, nor does any header but `Host`.
 *
 * Hosts are matched against whole suffixes from the right, label by label, so that
 * `victim-125.cos.ap-guangzhou.myqcloud.com.evil.tld` is no host of ours. When host and path both could name a bucket,
 * the host does, and the path is the key.
 */

import { nearestName } from "../config/nearest-name.ts";
import { type CosError, refuse } from "../errors/cos-error.ts";
import type { Target } from "../http/target.ts";
import { isBareBucketName, isBucketName } from "../operations/name-rules.ts";

/** How a server reads hosts; made once by `addressingRules`. */
export interface AddressingRules {
  /** Every suffix under which the host grammar holds, the longest first. */
  readonly suffixes: readonly string[];
  readonly regions: ReadonlySet<string>;
  readonly unknownHosts: "serve" | "refuse";
}

export interface AddressingOptions {
  /** Region names that hosts may carry. */
  readonly regions: Iterable<string>;
  /** Suffixes besides the service's own three; in lower case, without a leading dot or a port. */
  readonly suffixes?: Iterable<string>;
  /**
   * A host with a dot in it that belongs to no suffix: `serve`, the default, reads it as the server's own address, path
   * style; `refuse` answers `UserCnameInvalid`, which also stops a web page whose name was pointed at this machine.
   */
  readonly unknownHosts?: "serve" | "refuse";
}

/** Parts of the service under hosts of their own. The text names the part to a person. */
export type OtherFeature =
  | "acceleration endpoint"
  | "static website"
  | "data processing (CI)"
  | "image processing (pic)"
  | "batch jobs"
  | "account-level endpoint"
  | "CDN domain"
  | "JSON API";

/** What a dialect makes of names. */
export interface ReadingOptions {
  /** Takes names of buckets without an APPID too, as they stand; whoever asks has to complete them. Default false. */
  readonly bareNames?: boolean;
}

export type CosAddress =
  | {
      readonly kind: "service";
      /** `region`: the host names one region, and List Buckets shows that one only. */
      readonly scope: "all" | "region";
      readonly region: string | undefined;
    }
  | {
      readonly kind: "bucket";
      readonly bucket: string;
      /** Region the host names; undefined when it names none, and a bucket is found wherever it is. */
      readonly region: string | undefined;
      readonly style: "host" | "path";
    }
  | {
      readonly kind: "object";
      readonly bucket: string;
      /** Never empty; verbatim, so it may begin with `/`: `GET //` names the key `/` and never lists the bucket. */
      readonly key: string;
      readonly region: string | undefined;
      readonly style: "host" | "path";
    }
  | OtherAddress;

/** A host of a part of the service that is not built. */
export interface OtherAddress {
  readonly kind: "other";
  readonly feature: OtherFeature;
  /** The host of the object service that stands beside it; undefined where the two have nothing in common. */
  readonly instead: string | undefined;
}

/** The service's own suffixes. The second is newer, and SDKs switch to it on a retry; the third is CI's. */
const OWN_SUFFIXES: ReadonlySet<string> = new Set(["myqcloud.com", "tencentcos.cn", "tencentci.cn"]);

/** Labels before the region. `undefined` marks the object service itself, over the public or the private network. */
const SERVICE_LABELS: ReadonlyMap<string, OtherFeature | undefined> = new Map([
  ["cos", undefined],
  ["cos-internal", undefined],
  ["cos-website", "static website"],
  ["cos-website-internal", "static website"],
  ["ci", "data processing (CI)"],
  ["pic", "image processing (pic)"],
  ["cos-control", "batch jobs"],
]);

/**
 * Region labels from before `cos.` was part of the host, which the Node and Java SDKs still build, and the prefixes of
 * the JSON API's regions. Where they lead today is our reading of the old region pages (unverified).
 */
const LEGACY_REGIONS: ReadonlyMap<string, string> = new Map([
  ["cn-south", "ap-guangzhou"],
  ["cn-south-2", "ap-guangzhou"],
  ["cn-north", "ap-beijing-1"],
  ["cn-east", "ap-shanghai"],
  ["cn-southwest", "ap-chengdu"],
  ["sg", "ap-singapore"],
  ["cosgz", "ap-guangzhou"],
  ["costj", "ap-beijing-1"],
  ["cossh", "ap-shanghai"],
  ["coscd", "ap-chengdu"],
  ["cossgp", "ap-singapore"],
  ["coshk", "ap-hongkong"],
  ["cosca", "na-toronto"],
  ["cosger", "eu-frankfurt"],
]);

const JSON_API_REGIONS: ReadonlySet<string> = new Set(["gz", "tj", "sh", "cd", "sgp", "hk", "ca", "ger"]);

/** No label of a host name is longer (RFC 1035), so no bucket of a longer name can be addressed. */
const BUCKET_LABEL_CHARS_MAX = 63;

/** Makes the rules. Throws TypeError for a suffix that is not a lower-case host name: a mistake of ours, not a client's. */
export function addressingRules({
  regions,
  suffixes = [],
  unknownHosts = "serve",
}: AddressingOptions): AddressingRules {
  const all = new Set([...OWN_SUFFIXES, "localhost", ...suffixes]);
  for (const suffix of all) {
    if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(suffix)) throw new TypeError(`not a host suffix: ${suffix}`);
  }
  return { suffixes: [...all].sort((a, b) => b.length - a.length), regions: new Set(regions), unknownHosts };
}

/**
 * Reads the address. Throws CosError:
 * - `InvalidRegionName`: a host under a suffix whose region label is not configured, or that has no place in the grammar.
 * - `InvalidRequest`: a bucket label without an APPID (message as captured from the live service).
 * - `InvalidBucketName`: a label that no bucket can have. This holds for every method, not only for PUT Bucket as the
 *   page has it: no such bucket can exist, so naming the fault gives nothing away and helps more than `NoSuchBucket`.
 * - `BucketNameTooLong`: a label longer than any host can carry. One that is merely over the service's limit is
 *   refused by PUT Bucket alone (`bucketNameFault`), and simply not found by the others.
 * - `UserCnameInvalid`: a host that belongs to nobody, where the rules refuse those.
 */
export function readAddress(
  target: Pick<Target, "authority" | "path" | "form">,
  rules: AddressingRules,
  options: ReadingOptions = {},
): CosAddress {
  const bare = options.bareNames === true;
  const meaning = readHost(target.authority.host, rules, bare);
  if (meaning.kind === "other") return meaning;
  if (target.form === "asterisk") return { kind: "service", scope: "all", region: undefined };

  if (meaning.kind === "bucket") {
    const { bucket, region } = meaning;
    const key = target.path.slice(1);
    return key === ""
      ? { kind: "bucket", bucket, region, style: "host" }
      : { kind: "object", bucket, key, region, style: "host" };
  }

  const { region } = meaning;
  if (target.path === "/") return { kind: "service", scope: region === undefined ? "all" : "region", region };
  const slash = target.path.indexOf("/", 1);
  const bucket = checkedBucket(slash === -1 ? target.path.slice(1) : target.path.slice(1, slash), bare);
  const key = slash === -1 ? "" : target.path.slice(slash + 1);
  return key === ""
    ? { kind: "bucket", bucket, region, style: "path" }
    : { kind: "object", bucket, key, region, style: "path" };
}

/**
 * The paths a client may have signed for this request, the likeliest first; one or two.
 *
 * The second is path style signed without the bucket: what the Node SDK does when its `Domain` option ends in
 * `/{Bucket}`. It is open only on hosts that name no region, where no client of the live service arrives.
 * Such a signature does not say which bucket it is for: it opens that key in every bucket of its signer.
 *
 * A plus in the path is a plus, though the live service was seen to verify it as a blank. Every official client sends
 * `%2B`, and a signature for `a b` must not open `a+b`.
 */
export function signedPaths({ path }: Pick<Target, "path">, address: CosAddress): readonly string[] {
  if (
    (address.kind === "bucket" || address.kind === "object") &&
    address.style === "path" &&
    address.region === undefined
  ) {
    return [path, path.slice(1 + address.bucket.length) || "/"];
  }
  return [path];
}

type HostMeaning =
  | { readonly kind: "base"; readonly region: string | undefined }
  | { readonly kind: "bucket"; readonly bucket: string; readonly region: string | undefined }
  | OtherAddress;

const BASE: HostMeaning = { kind: "base", region: undefined };

function readHost(host: string, rules: AddressingRules, bare: boolean): HostMeaning {
  const suffix = rules.suffixes.find((known) => host === known || host.endsWith(`.${known}`));
  if (suffix === undefined) return unknownHost(host, rules);
  if (host === suffix) return BASE;
  const labels = host.slice(0, -suffix.length - 1).split(".");
  const last = labels.at(-1) as string;
  const before = labels.at(-2);

  if (labels.length === 2 && before === "service" && last === "cos") return BASE;
  if (before !== undefined && SERVICE_LABELS.has(before))
    return readEndpoint(labels.slice(0, -2), before, last, suffix, rules, bare);
  return OWN_SUFFIXES.has(suffix) ? readLegacy(labels, last, rules, bare) : readShort(labels, host, rules, bare);
}

/** `[<bucket>.]<service>.<region>`. */
function readEndpoint(
  head: readonly string[],
  service: string,
  region: string,
  suffix: string,
  rules: AddressingRules,
  bare: boolean,
): HostMeaning {
  const feature = SERVICE_LABELS.get(service);
  const there = (where: string): string => [...head, "cos", where, suffix].join(".");
  if (region === "accelerate" && feature === undefined) {
    return { kind: "other", feature: "acceleration endpoint", instead: there("<region>") };
  }
  if (!rules.regions.has(region)) throw unknownRegion(region, rules, there);
  if (feature !== undefined) return { kind: "other", feature, instead: there(region) };
  return withBucket(head, region, bare);
}

/** `[<bucket>.]<old region>` and the hosts that came before the XML API, all under the service's own suffixes. */
function readLegacy(labels: readonly string[], last: string, rules: AddressingRules, bare: boolean): HostMeaning {
  if (labels.length === 2 && last === "file") {
    const feature = JSON_API_REGIONS.has(labels[0] as string) ? "JSON API" : "CDN domain";
    return { kind: "other", feature, instead: undefined };
  }
  const region = LEGACY_REGIONS.get(last);
  if (region === undefined || !rules.regions.has(region)) throw unknownRegion(last, rules, () => undefined);
  return withBucket(labels.slice(0, -1), region, bare);
}

/** `[<bucket>.][cos]` under a suffix of the installation's own, where a region is more than people want to type. */
function readShort(labels: readonly string[], host: string, rules: AddressingRules, bare: boolean): HostMeaning {
  const head = labels.at(-1) === "cos" ? labels.slice(0, -1) : labels;
  if (head.length === 0) return BASE;
  // `console.localhost` may be any service of the machine's owner in front of this one; only an APPID makes a bucket.
  if (head.length === 1 && (bare || /-[0-9]+$/.test(head[0] as string))) return withBucket(head, undefined, bare);
  return unknownHost(host, rules);
}

function withBucket(head: readonly string[], region: string | undefined, bare: boolean): HostMeaning {
  const [label, ...more] = head;
  if (label === undefined) return { kind: "base", region };
  if (more.length > 0) throw refuse("InvalidBucketName", { message: "A bucket name may not contain a dot." });
  if (/^[0-9]+$/.test(label)) return { kind: "other", feature: "account-level endpoint", instead: undefined };
  return { kind: "bucket", bucket: checkedBucket(label, bare), region };
}

function unknownHost(host: string, rules: AddressingRules): HostMeaning {
  // Names without a dot and addresses cannot be given to somebody else by a name server of theirs.
  const ours =
    !host.includes(".") || host.startsWith("[") || /^[0-9]+(\.[0-9]+){3}$/.test(host) || host.endsWith(".localhost");
  if (ours || rules.unknownHosts === "serve") return BASE;
  throw refuse("UserCnameInvalid", {
    message: `The host ${host} is neither bound to a bucket nor a host of this server; if it is yours, start the server with --suffix ${host} or with keys of your own.`,
  });
}

/** `there` gives the host for another region. */
function unknownRegion(
  region: string,
  { regions }: AddressingRules,
  there: (region: string) => string | undefined,
): CosError {
  return refuse("InvalidRegionName", {
    message: `The specified region is invalid: ${region}.`,
    evidence: () => {
      const near = nearestName(region, [...regions]);
      const told = `No region is called ${JSON.stringify(region)} here${near === undefined ? "." : `; did you mean ${near}?`}`;
      return { kind: "endpoint", told, instead: near === undefined ? undefined : there(near) };
    },
  });
}

/** The refusal of a host of a part of the service that is not built. */
export function notBuiltThere({ feature, instead }: OtherAddress): CosError {
  const told = `The host belongs to a part of the service that is not built: ${feature}.`;
  return refuse("NotImplemented", {
    message: `This host belongs to a part of the service that is not implemented yet: ${feature}.`,
    evidence: () => ({ kind: "endpoint", told, instead }),
  });
}

function checkedBucket(label: string, bare: boolean): string {
  if (label.length > BUCKET_LABEL_CHARS_MAX) throw refuse("BucketNameTooLong");
  if (isBucketName(label)) return label;
  if (bare) {
    if (isBareBucketName(label)) return label;
    throw refuse("InvalidBucketName");
  }
  if (label !== "" && !/-[0-9]+$/.test(label)) {
    throw refuse("InvalidRequest", {
      message: "Missing required header for this request: Appid, Bucket format should be <bucketname>-<appid>",
    });
  }
  throw refuse("InvalidBucketName");
}
