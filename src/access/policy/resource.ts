/**
 * Resources as policies name them: `*`, or six segments `qcs:<project>:cos:<region>:<account>:<path>`.
 * (policy page; older forms of the path as the STS helpers still write them)
 */

import type { BucketRecord } from "../../store/records.ts";
import { fits, wildcard, type Wildcard } from "./wildcard.ts";

/** What a request wants something of. */
export interface Resource {
  readonly bucket: Pick<BucketRecord, "name" | "region" | "ownerAppid" | "ownerUin"> | undefined;
  /** The key of an object; for the bucket itself undefined. */
  readonly key: string | undefined;
  /** The keys a listing asks for: policies may name them as if they were objects. */
  readonly prefix?: string | undefined;
  /** The whole name of a thing of another service, such as a role, where there is no bucket. */
  readonly elsewhere?: string | undefined;
}

export interface ResourcePattern {
  readonly text: string;
  /** Undefined is any: the whole was `*`. */
  readonly segments: { readonly region: Wildcard; readonly account: Wildcard; readonly path: Wildcard } | undefined;
  /** The whole of what belongs to another service, which names nothing of a bucket. */
  readonly elsewhere?: Wildcard;
}

const ANY = wildcard("*");
const HOST_BUCKET = /^([a-z0-9*-]+)\.[a-z0-9.-]+$/;

/** `prefix//<appid>/<short name>/<key>` and `<bucket>.cos.<region>.myqcloud.com/<key>` name the same as the plain form. */
function plainPath(path: string): string {
  const older = /^prefix\/\/(\d+)\/([a-z0-9-]+)\/(.*)$/s.exec(path);
  if (older !== null) {
    const [, appid = "", short = "", rest = ""] = older;
    return `${short.endsWith(`-${appid}`) ? short : `${short}-${appid}`}/${rest}`;
  }
  const slash = path.indexOf("/");
  const bucket = slash < 0 ? path : path.slice(0, slash);
  const host = HOST_BUCKET.exec(bucket);
  return host === null ? path : `${host[1]}${slash < 0 ? "" : path.slice(slash)}`;
}

/**
 * The pattern, or what is wrong with it, to follow "…: ". Resources of other services may stand in what is attached to
 * somebody, since one policy may speak of all that a person uses; not in the policy of a bucket.
 */
export function readResource(text: string, otherServices = false): ResourcePattern | string {
  if (text === "*") return { text, segments: undefined };
  const parts = text.split(":");
  if (parts.length < 6) return "expected six segments, qcs::cos:<region>:uid/<appid>:<bucket>/<key>, or *";
  const [scheme, project = "", service, region = "", account = ""] = parts;
  const path = parts.slice(5).join(":");
  if (scheme !== "qcs") return "expected it to begin with qcs:";
  if (project !== "" && project !== "*" && !/^id\/\d+$/.test(project)) return "expected the project to be empty";
  if (otherServices && service !== undefined && /^(?!cos$)[a-z][a-z0-9_-]*$/.test(service)) {
    return { text, segments: undefined, elsewhere: wildcard(text) };
  }
  if (service !== "cos" && service !== "*") return "expected the service cos in the third segment";
  if (!/^[a-z0-9*-]*$/.test(region)) return "expected a region such as ap-guangzhou in the fourth segment";
  if (!/^(\*|(uid|uin)\/[0-9*]+)?$/.test(account)) return "expected uid/<appid> or uin/<owner> in the fifth segment";
  if (path === "") return "expected <bucket>/<key> in the sixth segment";
  return {
    text,
    segments: {
      region: region === "" ? ANY : wildcard(region),
      account: account === "" ? ANY : wildcard(account),
      path: wildcard(plainPath(path)),
    },
  };
}

/** What a resource is called, for all the patterns that are held against it. */
export interface ResourceNames {
  readonly region: string;
  readonly accounts: readonly string[];
  readonly paths: readonly string[];
  readonly elsewhere?: string;
}

/** Every name of a resource; none for what belongs to no bucket, such as the list of all of them. */
export function namesOfResource({ bucket, key, prefix, elsewhere }: Resource): ResourceNames | undefined {
  if (elsewhere !== undefined) return { region: "", accounts: [], paths: [], elsewhere };
  if (bucket === undefined) return undefined;
  const { name, region, ownerAppid, ownerUin } = bucket;
  const accounts = [`uid/${ownerAppid}`, `uin/${ownerUin}`];
  if (key !== undefined) return { region, accounts, paths: [`${name}/${key}`] };
  const asPrefix = prefix === undefined || prefix === "" ? [] : [`${name}/${prefix}`];
  return { region, accounts, paths: [`${name}/`, name, ...asPrefix] };
}

/** Whether the pattern is for the resource of these names. What has none is called `*` alone. */
export function isNamed({ segments, elsewhere }: ResourcePattern, names: ResourceNames | undefined): boolean {
  if (elsewhere !== undefined) return names?.elsewhere !== undefined && fits(elsewhere, names.elsewhere);
  if (segments === undefined) return true;
  if (names === undefined) return false;
  const { region, account, path } = segments;
  // Paths differ most from statement to statement.
  return (
    names.paths.some((one) => fits(path, one)) &&
    fits(region, names.region) &&
    names.accounts.some((one) => fits(account, one))
  );
}

/** Whether the pattern can name anything in the bucket. */
export function concerns({ segments, elsewhere }: ResourcePattern, bucket: NonNullable<Resource["bucket"]>): boolean {
  if (elsewhere !== undefined) return false;
  if (segments === undefined) return true;
  const { region, account, path } = segments;
  if (!fits(region, bucket.region)) return false;
  if (!fits(account, `uid/${bucket.ownerAppid}`) && !fits(account, `uin/${bucket.ownerUin}`)) return false;
  const slash = path.text.indexOf("/");
  return fits(wildcard(slash < 0 ? path.text : path.text.slice(0, slash)), bucket.name);
}
