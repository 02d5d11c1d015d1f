/**
 * Reads the small XML documents of requests into a plain tree, within bounds. The bytes are bounded by whoever
 * collected the body; depth and breadth are bounded here. What a document of this API never needs is refused rather
 * than interpreted: a document type, with it every entity of its own, processing instructions, and any encoding but
 * UTF-8. Namespaces are ignored, since SDKs send several and none: elements go by their local names.
 */

import { createRequire } from "node:module";

/** Loaded with the first document: most servers answer their first requests before anyone sends one. */
let saxes: typeof import("saxes") | undefined;
function loadSaxes(): typeof import("saxes") {
  saxes ??= createRequire(import.meta.url)("saxes") as typeof import("saxes");
  return saxes;
}

/** Why a document was refused, and where. The pipeline answers `MalformedXML`; this text goes to the log. */
export class XmlFault extends Error {
  override readonly name = "XmlFault";
  /** Both count from 1; 0 where the fault has no place, as with bytes that are not text. */
  readonly line: number;
  readonly column: number;

  constructor(message: string, line: number, column: number) {
    super(`${message} (line ${line}, column ${column})`);
    this.line = line;
    this.column = column;
  }
}

export interface XmlElement {
  /** Local name, without a namespace prefix. */
  readonly name: string;
  /** All character data directly inside, CDATA included, not trimmed: keys may begin and end with blanks. */
  readonly text: string;
  readonly children: readonly XmlElement[];
  /** By local name; namespace declarations are left out. */
  readonly attributes: ReadonlyMap<string, string>;
  /** Where its start tag ends; both count from 1. */
  readonly line: number;
  readonly column: number;
}

export interface XmlLimits {
  /** Levels of nested elements, the root included. */
  readonly depthMax: number;
  /** Elements in the whole document. */
  readonly elementsMax: number;
}

/** The bounds where the caller names none. */
export const XML_LIMITS: XmlLimits = { depthMax: 16, elementsMax: 100_000 };

/** Characters of an element's or attribute's name. The longest name of the API has 36. */
const NAME_CHARS_MAX = 128;
/** Attributes of one element. The documents of the API have at most two, both on `Grantee`. */
const ATTRIBUTES_MAX = 16;

interface Open {
  name: string;
  text: string;
  children: XmlElement[];
  attributes: Map<string, string>;
  line: number;
  column: number;
}

/** Parses a whole document. Throws XmlFault, and nothing else, for whatever the bytes hold. */
export function parseXml(bytes: Buffer, limits: XmlLimits = XML_LIMITS): XmlElement {
  const text = decodeUtf8(bytes);
  const parser = new (loadSaxes().SaxesParser)({
    xmlns: false,
    position: true,
    defaultXMLVersion: "1.0",
    forceXMLVersion: true,
  });
  const open: Open[] = [];
  let attributes = new Map<string, string>();
  let root: Open | undefined;
  let elements = 0;

  const fault = (message: string): XmlFault => new XmlFault(message, parser.line, parser.column);

  parser.on("error", (error) => {
    // The parser puts `line:column: ` before its own words.
    throw fault(error.message.replace(/^\d+:\d+: /, ""));
  });
  parser.on("xmldecl", ({ version, encoding }) => {
    if (version !== "1.0") throw fault("only XML 1.0 is read");
    if (encoding !== undefined && !/^(utf-?8|us-ascii)$/i.test(encoding)) throw fault("only UTF-8 is read");
  });
  parser.on("doctype", () => {
    throw fault("a document type is not allowed");
  });
  parser.on("processinginstruction", () => {
    throw fault("a processing instruction is not allowed");
  });
  parser.on("opentagstart", ({ name }) => {
    if (name.length > NAME_CHARS_MAX) throw fault(`a name is longer than ${NAME_CHARS_MAX} characters`);
    if (open.length === limits.depthMax) throw fault(`elements are nested deeper than ${limits.depthMax}`);
    elements += 1;
    if (elements > limits.elementsMax) throw fault(`there are more than ${limits.elementsMax} elements`);
    attributes = new Map();
  });
  parser.on("attribute", ({ name, value }) => {
    if (name.length > NAME_CHARS_MAX) throw fault(`a name is longer than ${NAME_CHARS_MAX} characters`);
    if (attributes.size === ATTRIBUTES_MAX) throw fault(`an element has more than ${ATTRIBUTES_MAX} attributes`);
    // Kept by full name until the element is complete, so that declarations count towards the bound as well.
    attributes.set(name, value);
  });
  parser.on("opentag", ({ name }) => {
    const element: Open = {
      name: localName(name),
      text: "",
      children: [],
      attributes: withoutDeclarations(attributes),
      line: parser.line,
      column: parser.column,
    };
    open.at(-1)?.children.push(element);
    root ??= element;
    open.push(element);
  });
  parser.on("closetag", () => {
    open.pop();
  });
  const append = (data: string): void => {
    const element = open.at(-1);
    if (element !== undefined) element.text += data;
  };
  parser.on("text", append);
  parser.on("cdata", append);

  parser.write(text).close();
  // Without a root the parser has already raised its error.
  return root as unknown as XmlElement;
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });

/** A leading byte order mark is dropped. UTF-16 is refused here too: neither its marks nor its NULs are UTF-8 text. */
function decodeUtf8(bytes: Buffer): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new XmlFault("the document is not UTF-8", 0, 0);
  }
}

function localName(name: string): string {
  return name.slice(name.lastIndexOf(":") + 1);
}

function withoutDeclarations(attributes: Map<string, string>): Map<string, string> {
  const kept = new Map<string, string>();
  for (const [name, value] of attributes) {
    if (name !== "xmlns" && !name.startsWith("xmlns:")) kept.set(localName(name), value);
  }
  return kept;
}
