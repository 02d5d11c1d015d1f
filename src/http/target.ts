/**
 * What a request names: authority, path and query, read once from the raw request line and `Host`, immutable after.
 * Nothing here is normalised beyond one percent-decoding: keys may hold `//`, `.`, `..` and anything else, so a target
 * never goes near WHATWG `URL`, which collapses them.
 */

import { refuse } from "../errors/cos-error.ts";

/** Most parameters a query may have where the caller names no bound. Official clients stay under 40, the seven of a signature included. */
export const QUERY_PARAMETERS_MAX = 200;
/** Longest query, in bytes as sent. The header block has the same bound, so only a wider one would ever reach this. */
export const QUERY_BYTES_MAX = 16 * 1024;

/** Whom the client means to talk to. */
export interface Authority {
  /** Lower case, without port or trailing dot; IPv6 in brackets; empty when the client named no host (HTTP/1.0). */
  readonly host: string;
  /** 0 to 65535; undefined when the client named none. */
  readonly port: number | undefined;
  /** As the client wrote it, port included; for `Resource` and `Location`. */
  readonly text: string;
  /**
   * Texts that the client may have signed as its host, most likely first, at most four: the `Host` field, the authority
   * of an absolute-form target, and both without their port. Node and Go sign the port, Python does not.
   */
  readonly spellings: readonly string[];
}

export interface Target {
  readonly authority: Authority;
  /** `absolute` is what clients send to a proxy; `asterisk` is the `*` of `OPTIONS *`, whose path is `*` as well. */
  readonly form: "origin" | "absolute" | "asterisk";
  /** As sent, without authority and query; starts with `/`. */
  readonly rawPath: string;
  /** Percent-decoded once, as UTF-8; starts with `/`. An encoded slash is a slash: the Go SDK sends `/dir%2Ffile`. */
  readonly path: string;
  readonly query: Query;
}

/** The decoded parameters of a query, in the order sent. Names are matched in any case: SDKs differ in `versionId`. */
export class Query {
  static readonly EMPTY = new Query([]);

  /** Names and values as decoded; a flag such as `?acl` has the value "", as `?acl=` has. */
  readonly entries: readonly (readonly [name: string, value: string])[];
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(entries: readonly (readonly [name: string, value: string])[]) {
    const values = new Map<string, string[]>();
    for (const [name, value] of entries) {
      const lower = name.toLowerCase();
      const known = values.get(lower);
      if (known === undefined) values.set(lower, [value]);
      else known.push(value);
    }
    this.entries = entries;
    this.#values = values;
  }

  /** Reads a raw query (without `?`). Throws CosError `InvalidURI` for bad escapes, bad UTF-8, NUL and excess. */
  static parse(raw: string, parametersMax = QUERY_PARAMETERS_MAX): Query {
    if (raw === "") return Query.EMPTY;
    if (raw.length > QUERY_BYTES_MAX) {
      throw refuse("InvalidURI", { message: `The query is longer than ${QUERY_BYTES_MAX} bytes.` });
    }
    const entries: (readonly [string, string])[] = [];
    for (const piece of raw.split("&")) {
      if (piece === "") continue;
      if (entries.length === parametersMax) {
        throw refuse("InvalidURI", { message: `The query has more than ${parametersMax} parameters.` });
      }
      const equals = piece.indexOf("=");
      entries.push(
        equals === -1
          ? [decodeParameter(piece), ""]
          : [decodeParameter(piece.slice(0, equals)), decodeParameter(piece.slice(equals + 1))],
      );
    }
    return new Query(entries);
  }

  has(name: string): boolean {
    return this.#values.has(name.toLowerCase());
  }

  /** The first value; undefined when the parameter is absent. */
  get(name: string): string | undefined {
    return this.#values.get(name.toLowerCase())?.[0];
  }

  /** Every value, in the order sent. */
  all(name: string): readonly string[] {
    return this.#values.get(name.toLowerCase()) ?? [];
  }

  /** True when the parameter was sent more than once, in whatever case: which of the two counts would be a guess. */
  repeated(name: string): boolean {
    return (this.#values.get(name.toLowerCase())?.length ?? 0) > 1;
  }

  /** Each name once, in lower case, in the order first sent. */
  names(): Iterable<string> {
    return this.#values.keys();
  }
}

/**
 * Reads the request line's target and the `Host` field. `hostHeader` is undefined when none was sent; refusing a
 * repeated `Host` is the edge's part, since only it sees both.
 *
 * Throws CosError `InvalidURI` when path or query cannot be decoded, `BadRquest` when the target has no form that
 * HTTP knows, carries a fragment, or names another host than `Host` does. For the last, RFC 9112 would let the target
 * win; two names in one request are refused instead, because a proxy in front may have decided on the other one.
 */
export function parseTarget(
  method: string,
  rawTarget: string,
  hostHeader: string | undefined,
  parametersMax = QUERY_PARAMETERS_MAX,
): Target {
  if (rawTarget.includes("#")) throw refuse("BadRquest", { message: "A request target may not contain '#'." });
  if (!/^[\x21-\x7e]+$/.test(rawTarget)) {
    throw refuse("InvalidURI", {
      message:
        "The request target must be percent-encoded: it holds a blank, a control character or a byte beyond ASCII.",
    });
  }
  const host = hostHeader === undefined || hostHeader === "" ? undefined : readAuthority(hostHeader);

  if (rawTarget.startsWith("/")) return split(rawTarget, "origin", authority(host, undefined), parametersMax);

  if (rawTarget === "*" && method === "OPTIONS") {
    return { authority: authority(host, undefined), form: "asterisk", rawPath: "*", path: "*", query: Query.EMPTY };
  }

  const absolute = /^(https?):\/\/([^/?]*)(.*)$/i.exec(rawTarget);
  if (absolute === null) {
    throw refuse("BadRquest", { message: "A request target starts with '/', 'http://' or 'https://'." });
  }
  const [, scheme = "", named = "", rest = ""] = absolute;
  const other = readAuthority(named);
  if (other.host === "") throw refuse("BadRquest", { message: "The request target names no host." });
  if (host !== undefined && !sameAuthority(host, other, scheme.toLowerCase() === "https" ? 443 : 80)) {
    throw refuse("BadRquest", {
      message: `The request target names the host ${other.text}, the Host header ${host.text}.`,
    });
  }
  return split(rest.startsWith("/") ? rest : `/${rest}`, "absolute", authority(host, other), parametersMax);
}

interface NamedHost {
  readonly host: string;
  readonly port: number | undefined;
  readonly text: string;
  readonly withoutPort: string;
}

/** Registered names and IPv4 as RFC 3986 writes them without escapes, or IPv6 in brackets; then perhaps a port. */
const AUTHORITY = /^([a-z0-9._-]{1,255}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{0,5}))?$/i;

function readAuthority(text: string): NamedHost {
  const [, name = "", digits = ""] = AUTHORITY.exec(text) ?? [];
  const port = digits === "" ? undefined : Number(digits);
  if (name === "" || (port !== undefined && port > 65_535)) {
    throw refuse("BadRquest", { message: "The host of the request is not a host name with an optional port." });
  }
  const lower = name.toLowerCase();
  return { host: lower.endsWith(".") ? lower.slice(0, -1) : lower, port, text, withoutPort: name };
}

function sameAuthority(one: NamedHost, other: NamedHost, defaultPort: number): boolean {
  return one.host === other.host && (one.port ?? defaultPort) === (other.port ?? defaultPort);
}

function authority(host: NamedHost | undefined, absolute: NamedHost | undefined): Authority {
  const first = host ?? absolute;
  if (first === undefined) return { host: "", port: undefined, text: "", spellings: [] };
  const spellings = new Set([first.text, first.withoutPort]);
  if (absolute !== undefined) spellings.add(absolute.text).add(absolute.withoutPort);
  return { host: first.host, port: first.port, text: first.text, spellings: [...spellings] };
}

function split(target: string, form: Target["form"], named: Authority, parametersMax: number): Target {
  const question = target.indexOf("?");
  const rawPath = question === -1 ? target : target.slice(0, question);
  const query = question === -1 ? Query.EMPTY : Query.parse(target.slice(question + 1), parametersMax);
  return { authority: named, form, rawPath, path: decodeOnce(rawPath), query };
}

/** `+` is a blank in a query: Python's presigner and Go's encoder write it so. In a path it is a plus. */
function decodeParameter(text: string): string {
  return decodeOnce(text.includes("+") ? text.replaceAll("+", " ") : text);
}

/** Percent-decodes UTF-8 once. Throws CosError `InvalidURI` for a bad escape, overlong forms, lone surrogates and NUL. */
function decodeOnce(text: string): string {
  if (!text.includes("%")) return text;
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
  } catch (cause) {
    throw refuse("InvalidURI", { message: "The URI holds a percent escape that is not UTF-8.", cause });
  }
  if (decoded.includes("\0")) throw refuse("InvalidURI", { message: "The URI holds a NUL." });
  return decoded;
}
