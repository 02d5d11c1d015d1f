/** `encoding-type=url` of the lists: keys that XML cannot carry, or that a client wants encoded. */

import { isXmlText } from "./write.ts";

const PLAIN = /^[A-Za-z0-9\-_.~/]*$/;

/**
 * Percent-encodes a text as the service's lists do: RFC 3986 unreserved characters and `/` stay, everything else
 * becomes `%XX` of its UTF-8 bytes in upper case, a blank `%20`.
 */
export function urlEncoded(text: string): string {
  if (PLAIN.test(text)) return text;
  return encodeURIComponent(text)
    .replace(/%2F/g, "/")
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** How the names of one list are written. */
export interface NameEncoding {
  /** True when names are percent-encoded, which the list then says in `EncodingType`. */
  readonly url: boolean;
  readonly encode: (name: string) => string;
}

const AS_IT_IS: NameEncoding = { url: false, encode: (name) => name };
const URL: NameEncoding = { url: true, encode: urlEncoded };

/** The encoding a client asked for, or `url` where a name of the list could not stand in XML at all. */
export function nameEncoding(asked: boolean, names: Iterable<string>): NameEncoding {
  if (asked) return URL;
  for (const name of names) if (!isXmlText(name)) return URL;
  return AS_IT_IS;
}
