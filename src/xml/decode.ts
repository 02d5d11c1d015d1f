/**
 * The few words in which operations read a parsed document. Each says in its fault what was expected and where; all of
 * them throw XmlFault and nothing else. Names are matched exactly: the service's documents are case-sensitive.
 */

import { type XmlElement, XmlFault } from "./parse.ts";

/** The fault to throw for something about `element`. */
export function faultAt(element: XmlElement, message: string): XmlFault {
  return new XmlFault(message, element.line, element.column);
}

/** Every child of that name, in document order. */
export function children(parent: XmlElement, name: string): XmlElement[] {
  return parent.children.filter((child) => child.name === name);
}

/** The child of that name; undefined when there is none. A second one is a fault: which of them counts would be a guess. */
export function child(parent: XmlElement, name: string): XmlElement | undefined {
  let found: XmlElement | undefined;
  for (const element of parent.children) {
    if (element.name !== name) continue;
    if (found !== undefined) throw faultAt(element, `expected one <${name}> in <${parent.name}>`);
    found = element;
  }
  return found;
}

/** As `child`, but it must be there. */
export function requiredChild(parent: XmlElement, name: string): XmlElement {
  const found = child(parent, name);
  if (found === undefined) throw faultAt(parent, `expected <${name}> in <${parent.name}>`);
  return found;
}

/** Text of an element that holds nothing else, exactly as written: keys may begin and end with blanks. */
export function textOf(element: XmlElement): string {
  if (element.children.length > 0) throw faultAt(element, `expected text alone in <${element.name}>`);
  return element.text;
}

/** Text of a child; undefined when the child is absent, "" when it is empty. */
export function text(parent: XmlElement, name: string): string | undefined {
  const found = child(parent, name);
  return found === undefined ? undefined : textOf(found);
}

/** Text of a child that must be there and not be empty. */
export function requiredText(parent: XmlElement, name: string): string {
  const found = requiredChild(parent, name);
  const value = textOf(found);
  if (value === "") throw faultAt(found, `expected text in <${name}>`);
  return value;
}

export interface IntegerBounds {
  readonly min: number;
  readonly max: number;
}

/** A whole number of decimal digits, perhaps signed, perhaps between blanks; undefined when the child is absent. */
export function integer(parent: XmlElement, name: string, { min, max }: IntegerBounds): number | undefined {
  const found = child(parent, name);
  if (found === undefined) return undefined;
  const digits = trimmed(textOf(found));
  const value = /^-?\d{1,15}$/.test(digits) ? Number(digits) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw faultAt(found, `expected a whole number from ${min} to ${max} in <${name}>`);
  }
  return value;
}

/** As `integer`, but it must be there. */
export function requiredInteger(parent: XmlElement, name: string, bounds: IntegerBounds): number {
  requiredChild(parent, name);
  return integer(parent, name, bounds) as number;
}

/** `true` or `false` in any case, perhaps between blanks; undefined when the child is absent. */
export function boolean(parent: XmlElement, name: string): boolean | undefined {
  const found = child(parent, name);
  if (found === undefined) return undefined;
  const value = trimmed(textOf(found)).toLowerCase();
  if (value !== "true" && value !== "false") throw faultAt(found, `expected true or false in <${name}>`);
  return value === "true";
}

/** One of the given words, perhaps between blanks, in exactly that case; undefined when the child is absent. */
export function oneOf<const Word extends string>(
  parent: XmlElement,
  name: string,
  words: readonly Word[],
): Word | undefined {
  const found = child(parent, name);
  if (found === undefined) return undefined;
  const value = trimmed(textOf(found));
  const word = words.find((candidate) => candidate === value);
  if (word === undefined) throw faultAt(found, `expected one of ${words.join(", ")} in <${name}>`);
  return word;
}

/**
 * Refuses children of any other name, and text between them. For the documents where a misspelt element must not be
 * passed over in silence: policy, lock, lifecycle, replication and CORS.
 */
export function only(parent: XmlElement, names: readonly string[]): void {
  for (const element of parent.children) {
    if (!names.includes(element.name)) {
      throw faultAt(element, `expected ${names.map((name) => `<${name}>`).join(" or ")} in <${parent.name}>`);
    }
  }
  if (trimmed(parent.text) !== "") throw faultAt(parent, `expected no text in <${parent.name}>`);
}

/** The blanks of XML, and no others: a no-break space is a character like any other. */
function trimmed(value: string): string {
  return value.replace(/^[\t\n\r ]+/, "").replace(/[\t\n\r ]+$/, "");
}
