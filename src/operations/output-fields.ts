/** The vocabulary of declared output: what a handler's values become in the answer. */

import type { StreamedBody } from "../http/answer.ts";
import { formatHttpDate } from "../http/dates.ts";
import { xmlDocument, type XmlNode } from "../xml/write.ts";
import type { OutputField, OutputFields, OutputOf } from "./operation.ts";

const HEADER_TEXT = /^[\t\x20-\x7e\x80-\xff]*$/;

/** True for a text that may stand in a header field: no CR, LF, NUL or other control characters. */
export function isHeaderText(text: string): boolean {
  return HEADER_TEXT.test(text);
}

function toHeader<T>(name: string, summary: string, render: (value: T) => string): OutputField<T | undefined> {
  return {
    to: "header",
    name,
    summary,
    write(draft, value) {
      if (value !== undefined) draft.headers.push([name, render(value)]);
    },
  };
}

const NO_CHUNKS: AsyncIterable<Buffer> = {
  [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }),
};

function xml<T>(root: string, render: (value: T) => XmlNode): OutputField<T> {
  return {
    to: "body",
    name: root,
    summary: "an XML document",
    write(draft, value) {
      draft.headers.push(["Content-Type", "application/xml"]);
      draft.body = draft.document(root, value, () => xmlDocument(render(value)));
    },
  };
}

/** Output fields. A value of undefined writes nothing. */
export const out = {
  text: (name: string, summary = "text") => toHeader<string>(name, summary, (value) => value),
  integer: (name: string) => toHeader<number | bigint>(name, "decimal", String),
  /** A text in double quotes, as ETags are sent. */
  quoted: (name: string) => toHeader<string>(name, "quoted", (value) => `"${value}"`),
  /** Milliseconds since 1970 as an RFC 1123 date. */
  date: (name: string) => toHeader<number>(name, "RFC 1123 date", formatHttpDate),
  /** Pairs written as headers whose names begin with `prefix`. */
  headersWithPrefix: (prefix: string): OutputField<readonly (readonly [string, string])[] | undefined> => ({
    to: "headers",
    name: prefix,
    summary: "any number of headers",
    write(draft, pairs) {
      for (const [name, value] of pairs ?? []) draft.headers.push([`${prefix}${name}`, value]);
    },
  }),
  /** Pairs written as headers under the names they carry. */
  headers: (summary: string): OutputField<readonly (readonly [string, string])[] | undefined> => ({
    to: "headers",
    name: "",
    summary,
    write(draft, pairs) {
      for (const [name, value] of pairs ?? []) draft.headers.push([name, value]);
    },
  }),
  /** A status other than the declared one. */
  status: (summary: string): OutputField<number | undefined> => ({
    to: "status",
    name: "status",
    summary,
    write(draft, status) {
      if (status !== undefined) draft.status = status;
    },
  }),
  /** Several fields under one name; their values come as one object. */
  group: <const O extends OutputFields>(fields: O): OutputField<OutputOf<O>> => ({
    to: "group",
    name: "",
    summary: "",
    fields,
    write(draft, values) {
      for (const name in fields) (fields[name] as unknown as OutputField<unknown>).write(draft, values[name]);
    },
  }),
  /** The length of a body that is described and not sent, in bytes; for HEAD. */
  length: (): OutputField<number | undefined> => ({
    to: "header",
    name: "Content-Length",
    summary: "decimal",
    write(draft, length) {
      if (length !== undefined) draft.body = { length, chunks: NO_CHUNKS };
    },
  }),
  /** An object's bytes. */
  bytes: (): OutputField<StreamedBody | Buffer | undefined> => ({
    to: "body",
    name: "bytes",
    summary: "the object's bytes",
    write(draft, body) {
      draft.body = body;
    },
  }),
  /** A document of another form, as text. */
  document: (name: string, contentType: string): OutputField<string> => ({
    to: "body",
    name,
    summary: `a document of the type ${contentType}`,
    write(draft, text) {
      draft.headers.push(["Content-Type", contentType]);
      draft.body = draft.document(name, text, () => text);
    },
  }),
  /** An XML document, where the handler has a value for it. */
  optionalXml: <T>(root: string, render: (value: T) => XmlNode): OutputField<T | undefined> => ({
    ...xml(root, render),
    write(draft, value) {
      if (value !== undefined) xml(root, render).write(draft, value);
    },
  }),
  /** An XML document, rendered from the handler's value. */
  xml,
};
