/** What operations with tags share: the header, the document, and what a tag may be. Pure. */

import { isUtf8 } from "node:buffer";
import { refuse } from "../../errors/cos-error.ts";
import type { Limits } from "../../limits.ts";
import { header, required, xmlBody } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import type { InputField } from "../../operations/operation.ts";
import { NO_TAGS, type Tags } from "../../store/tags.ts";
import { child, children, requiredChild, text } from "../../xml/decode.ts";
import type { XmlElement } from "../../xml/parse.ts";
import { el, leaf, nodes, type XmlNode } from "../../xml/write.ts";

/** Letters and digits of any script, blanks, and `+ - = . _ : / @`. (tagging page) */
const TEXT = /^[\p{L}\p{M}\p{N} +\-=._:/@]*$/u;
const KEY_CHARS_MAX = 128;
const VALUE_CHARS_MAX = 256;
/** Beginnings of keys that belong to the service. (tagging page) */
const RESERVED = ["qcs:", "project"] as const;

/** What is wrong with a tag, as the end of a sentence, or undefined. */
function tagFault(key: string, value: string): string | undefined {
  if (key === "") return "has no key";
  if (key.length > KEY_CHARS_MAX) return `has a key of more than ${KEY_CHARS_MAX} characters`;
  if (value.length > VALUE_CHARS_MAX) return `has a value of more than ${VALUE_CHARS_MAX} characters`;
  if (!TEXT.test(key) || !TEXT.test(value)) return "holds a character that no tag may have";
  if (RESERVED.some((beginning) => key.startsWith(beginning))) return "has a key that is reserved";
  return undefined;
}

/** Raises BadRquest for more tags than `most`, as the service does under this spelling, and InvalidTag for bad ones. */
export function checkedTags(tags: Tags, most: number): Tags {
  if (tags.length > most) throw refuse("BadRquest", { message: `At most ${most} tags are allowed.` });
  const keys = new Set<string>();
  for (const [at, [key, value]] of tags.entries()) {
    const fault = keys.has(key) ? "has the key of another one" : tagFault(key, value);
    if (fault !== undefined) throw refuse("InvalidTag", { message: `Tag number ${at + 1} ${fault}.` });
    keys.add(key);
  }
  return tags;
}

/** Bytes beyond ASCII reach us as Latin-1; a client that sends them unencoded means UTF-8. */
function decoded(part: string): string {
  const bytes = Buffer.from(part, "latin1");
  try {
    return decodeURIComponent((isUtf8(bytes) ? bytes.toString("utf8") : part).replaceAll("+", " "));
  } catch {
    throw refuse("InvalidTag", { message: "The header x-cos-tagging is not percent-encoded UTF-8." });
  }
}

function readHeader(value: string): Tags {
  return value
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const at = pair.indexOf("=");
      return at < 0 ? [decoded(pair), ""] : [decoded(pair.slice(0, at)), decoded(pair.slice(at + 1))];
    });
}

const taggingText = header.text("x-cos-tagging", "<key>=<value>&…, percent-encoded");

function taggingHeader(most: (limits: Limits) => number): InputField<Tags> {
  return {
    ...taggingText,
    errors: ["BadRquest", "InvalidTag"],
    read(source) {
      const value = taggingText.read(source) as string | undefined;
      return value === undefined ? NO_TAGS : checkedTags(readHeader(value), most(source.limits));
    },
  };
}

/** `x-cos-tagging` of an object that is being stored. */
export const objectTagsField = taggingHeader((limits) => limits.objectTagsMax);
/** `x-cos-tagging` of a bucket that is being made. */
export const bucketTagsField = taggingHeader((limits) => limits.bucketTagsMax);

/** `x-cos-tagging-directive`: whether a copy takes the tags of its source. */
export const taggingDirectiveField = header.oneOf("x-cos-tagging-directive", ["Copy", "Replaced", "Replace"]);

/** The tags that the elements `Tag` below `parent` are; raises what a set of tags is refused with. */
export function tagsBelow(parent: XmlElement, most: number): Tags {
  const pairs = children(parent, "Tag").map((tag) => [text(tag, "Key") ?? "", text(tag, "Value") ?? ""] as const);
  return checkedTags(pairs, most);
}

/** The `Tags` of the document that a bucket is made by, as S3 has them; none where it has none. */
export function bucketTagsOf(configuration: XmlElement, { bucketTagsMax }: Limits): Tags {
  const tags = child(configuration, "Tags");
  return tags === undefined ? [] : tagsBelow(tags, bucketTagsMax);
}

function taggingBody(most: (limits: Limits) => number): InputField<Tags> {
  return required(
    xmlBody({
      root: "Tagging",
      bytesMax: (limits) => limits.xmlBytesMax,
      decode: (root: XmlElement, limits): Tags => tagsBelow(requiredChild(root, "TagSet"), most(limits)),
    }),
    "MissingRequestBodyError",
  );
}

export const objectTagsBody = taggingBody((limits) => limits.objectTagsMax);
export const bucketTagsBody = taggingBody((limits) => limits.bucketTagsMax);

/** The refusals of both bodies, beside those of any document. */
export const TAG_ERRORS = ["BadRquest", "InvalidTag"] as const;

/** The elements that `tagsBelow` reads. */
export function tagNodes(tags: Tags): readonly XmlNode[] {
  return tags.map(([key, value]) => el("Tag", leaf("Key", key), leaf("Value", value)));
}

/** The document that tells tags. */
export const taggingOutput = out.xml(
  "Tagging",
  (tags: Tags): XmlNode => el("Tagging", el("TagSet", nodes(tagNodes(tags)))),
);
