/** Tags of buckets and objects, as they are kept. */
import { ByteReader, ByteWriter } from "./bytes.ts";
import type { ConfigurationKind } from "./configurations.ts";
import { OBJECT_TAGS_TAG, type Section } from "./records.ts";

/** Tags in the order they were given; no key stands twice. */
export type Tags = readonly (readonly [key: string, value: string])[];

export const NO_TAGS: Tags = [];

function encodeTags(tags: Tags): Buffer {
  const writer = new ByteWriter(128).varint(tags.length);
  for (const [key, value] of tags) writer.text(key).text(value);
  return writer.finish();
}

function decodeTags(bytes: Buffer): Tags {
  const reader = new ByteReader(bytes);
  const tags: (readonly [string, string])[] = [];
  for (let left = reader.varint(); left > 0; left--) tags.push([reader.text(), reader.text()]);
  reader.end();
  return tags;
}

/** The tags of a bucket; one without tags has no such configuration. */
export const BUCKET_TAGS: ConfigurationKind<Tags> = { name: "tagging", encode: encodeTags, decode: decodeTags };

/** The section of an object's or an upload's tags, or none. */
export function tagSections(tags: Tags): readonly Section[] {
  return tags.length === 0 ? [] : [{ tag: OBJECT_TAGS_TAG, bytes: encodeTags(tags) }];
}

/** The tags that a record keeps. */
export function keptTags(sections: readonly Section[]): Tags {
  const section = sections.find(({ tag }) => tag === OBJECT_TAGS_TAG);
  return section === undefined ? NO_TAGS : decodeTags(section.bytes);
}

/** The sections of a record with these tags in place of those it had. */
export function withTags(sections: readonly Section[], tags: Tags): readonly Section[] {
  return [...sections.filter(({ tag }) => tag !== OBJECT_TAGS_TAG), ...tagSections(tags)];
}
