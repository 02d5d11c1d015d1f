/** Signs requests as COS v5 clients do: for the command line, and for tests that SDKs cannot write. */

import {
  joinedPairs,
  joinedRequest,
  joinedToSign,
  type SignedPair,
  signatureOf,
  signingEncoded,
  signingName,
  signKeyOf,
} from "./canonical.ts";

export interface CosSigning {
  readonly secretId: string;
  readonly secretKey: string;
  readonly method: string;
  /** Percent-decoded, with its leading slash. */
  readonly path: string;
  /** Decoded parameters to sign; the request may have others. */
  readonly query?: Iterable<readonly [name: string, value: string]>;
  /** Headers to sign, `host` among them if it is to be; the request may have others. */
  readonly headers?: Iterable<readonly [name: string, value: string]>;
  /** `<start>;<end>` in seconds since 1970, both included. Any text is signed as it is. */
  readonly signTime: string;
  /** The period of the key, where it is another. */
  readonly keyTime?: string;
}

export interface CosSignature {
  /** Value of the `Authorization` header. */
  readonly authorization: string;
  /** The same as query parameters, encoded and without a leading `?`: what turns a URL into a presigned one. */
  readonly queryString: string;
  readonly signature: string;
  readonly formatString: string;
  readonly stringToSign: string;
}

/** Signs everything it is given, and nothing else. Throws URIError for a lone surrogate in a name or value. */
export function signCos(signing: CosSigning): CosSignature {
  const { signTime, keyTime = signTime } = signing;
  const parameters = grouped(signing.query ?? []);
  const headers = grouped(signing.headers ?? []);
  const formatString = joinedRequest(
    signing.method,
    signing.path,
    joinedPairs(parameters, "encoded"),
    joinedPairs(headers, "encoded"),
  );
  const stringToSign = joinedToSign(signTime, formatString);
  const signature = signatureOf(signKeyOf(signing.secretKey, keyTime), stringToSign);
  const fields: readonly (readonly [string, string])[] = [
    ["q-sign-algorithm", "sha1"],
    ["q-ak", signing.secretId],
    ["q-sign-time", signTime],
    ["q-key-time", keyTime],
    ["q-header-list", listed(headers)],
    ["q-url-param-list", listed(parameters)],
    ["q-signature", signature],
  ];
  return {
    authorization: fields.map(([name, value]) => `${name}=${value}`).join("&"),
    queryString: fields.map(([name, value]) => `${name}=${signingEncoded(value)}`).join("&"),
    signature,
    formatString,
    stringToSign,
  };
}

function grouped(pairs: Iterable<readonly [name: string, value: string]>): SignedPair[] {
  const values = new Map<string, string[]>();
  for (const [name, value] of pairs) {
    const lower = name.toLowerCase();
    values.set(lower, [...(values.get(lower) ?? []), value]);
  }
  return [...values];
}

function listed(pairs: readonly SignedPair[]): string {
  return pairs
    .map(([name]) => signingName(name))
    .sort()
    .join(";");
}
