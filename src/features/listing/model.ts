/** What lists of keys share: their parameters and how their pages are written. Pure. */

import { refuse } from "../../errors/cos-error.ts";
import { header, query } from "../../operations/input-fields.ts";
import type { InputField } from "../../operations/operation.ts";

/** Greatest number a page size may be given as; pages themselves are bounded by settings. */
export const PAGE_SIZE_MAX = 2 ** 31 - 1;

const delimiterText = query.text("delimiter", "one character");

/** `delimiter`: one character, or absent. An empty one counts as absent. Raises InvalidDelimiter. */
export const delimiterField: InputField<string | undefined> = {
  ...delimiterText,
  errors: [...delimiterText.errors, "InvalidDelimiter"],
  read(source) {
    const text = delimiterText.read(source) as string | undefined;
    if (text === undefined || text === "") return undefined;
    const [first] = text;
    if (first !== text) throw refuse("InvalidDelimiter");
    return text;
  },
};

/** `x-amz-optional-object-attributes`, which S3 clients send to be told the restores of archived objects. */
export const restoreStatusField = header.oneOf("x-amz-optional-object-attributes", ["RestoreStatus"]);

/** `encoding-type`: `url` or absent. */
export const encodingTypeField = query.oneOf("encoding-type", ["url"]);
