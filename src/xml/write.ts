/**
 * Writes answers as compact XML by joining strings: no tree, no indentation. The Node SDK does not trim leaf text, and
 * an indented empty container would reach its user as a string of blanks.
 */

declare const written: unique symbol;
/** Markup that is ready to send. The brand keeps plain text, which still needs escaping, from being taken for it. */
export type XmlNode = string & { readonly [written]: true };

/** What a leaf may hold. Numbers and booleans are written as JavaScript prints them: `1000`, `true`. */
export type XmlText = string | number | boolean | bigint;

/** An element with text, or an empty one: `leaf("Marker", "")` is `<Marker/>`. The name is a constant of ours. */
export function leaf(name: string, value: XmlText): XmlNode {
  const body = typeof value === "string" ? escaped(value) : String(value);
  return (body === "" ? `<${name}/>` : `<${name}>${body}</${name}>`) as XmlNode;
}

/** A leaf, or nothing at all when the value is undefined. */
export function optional(name: string, value: XmlText | undefined): XmlNode {
  return value === undefined ? NOTHING : leaf(name, value);
}

/** An element with elements inside, or an empty one. */
export function el(name: string, ...content: readonly XmlNode[]): XmlNode {
  return withAttributes(name, NO_ATTRIBUTES, ...content);
}

/** An element with attributes, in the order given; names are constants of ours, values are escaped. */
export function withAttributes(
  name: string,
  attributes: readonly (readonly [name: string, value: string])[],
  ...content: readonly XmlNode[]
): XmlNode {
  let head = `<${name}`;
  for (const [attribute, value] of attributes) head += ` ${attribute}="${escapedAttribute(value)}"`;
  let body = "";
  for (const node of content) body += node;
  return (body === "" ? `${head}/>` : `${head}>${body}</${name}>`) as XmlNode;
}

/** Elements side by side, as one node. */
export function nodes(items: Iterable<XmlNode>): XmlNode {
  let all = "";
  for (const item of items) all += item;
  return all as XmlNode;
}

/** Text between elements. */
export function textNode(value: string): XmlNode {
  return escaped(value) as XmlNode;
}

/** Markup from somewhere else; the caller answers for its being well-formed. */
export function raw(markup: string): XmlNode {
  return markup as XmlNode;
}

/** A whole document. The declaration is spelt as the live service spells it: single quotes, a blank before `?>`. */
export function xmlDocument(root: XmlNode): string {
  return `<?xml version='1.0' encoding='utf-8' ?>\n${root}`;
}

/**
 * True when the text comes back from every reader as it was. Control characters but tab and LF, lone surrogates, U+FFFE
 * and U+FFFF have no form in XML 1.0, escaped or not. CR has one, but only as a numeric reference, which the Node SDK's
 * parser leaves as it stands. A listing that meets one of these in a key falls back to `encoding-type=url`.
 */
export function isXmlText(value: string): boolean {
  return !UNSAFE.test(value);
}

export const NOTHING = "" as XmlNode;
const NO_ATTRIBUTES: readonly (readonly [string, string])[] = [];

// With the `u` flag a surrogate matches only where it stands alone.
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const UNSAFE = /[\0-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]/u;
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const NOTABLE = /[&<>"'\0-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]/u;
const EVERY_NOTABLE = new RegExp(NOTABLE.source, "gu");

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
  ['"', "&quot;"],
  ["'", "&apos;"],
  ["\r", "&#13;"],
]);

/**
 * Text as it may stand between tags. A character that XML 1.0 cannot carry becomes U+FFFD, so that a document of ours
 * always parses; whoever must not lose it asks `isXmlText` first and encodes the field.
 */
function escaped(value: string): string {
  if (!NOTABLE.test(value)) return value;
  return value.replace(EVERY_NOTABLE, (character) => ESCAPES.get(character) ?? "\ufffd");
}

/** As `escaped`; tabs and LFs as well, which a reader would turn into blanks in an attribute. */
function escapedAttribute(value: string): string {
  return escaped(value).replaceAll("\n", "&#10;").replaceAll("\t", "&#9;");
}
