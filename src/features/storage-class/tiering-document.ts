/** The document of a bucket's intelligent tiering: what it may hold, and how it is told. Pure. */

import { refuse } from "../../errors/cos-error.ts";
import { required, xmlBody } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import type { Tiering } from "../../store/storage-class.ts";
import { faultAt, integer, oneOf, requiredChild } from "../../xml/decode.ts";
import type { XmlElement } from "../../xml/parse.ts";
import { el, leaf, type XmlNode } from "../../xml/write.ts";

const ANY = { min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER };
/** (intelligent tiering page) */
const DAYS: readonly number[] = [30, 60, 90];

function decode(root: XmlElement): Tiering {
  if (oneOf(root, "Status", ["Enabled"]) === undefined) throw faultAt(root, `expected <Status> in <${root.name}>`);
  const transition = requiredChild(root, "Transition");
  requiredChild(transition, "Days");
  const days = integer(transition, "Days", ANY) as number;
  if (!DAYS.includes(days)) {
    throw refuse("InvalidArgument", { message: `The element Days must be one of: ${DAYS.join(", ")}.` });
  }
  if ((integer(transition, "RequestFrequent", ANY) ?? 1) !== 1) {
    throw refuse("InvalidArgument", { message: "The element RequestFrequent must be 1." });
  }
  return { days };
}

/** The document of a request. Raises InvalidArgument besides what a document raises. */
export const tieringBody = required(
  xmlBody({ root: "IntelligentTieringConfiguration", bytesMax: (limits) => limits.xmlBytesMax, decode }),
  "MissingRequestBodyError",
);

/** The document of an answer; it is empty where tiering was never enabled. */
export const tieringOutput = out.xml(
  "IntelligentTieringConfiguration",
  (tiering: Tiering | undefined): XmlNode =>
    tiering === undefined
      ? el("IntelligentTieringConfiguration")
      : el(
          "IntelligentTieringConfiguration",
          leaf("Status", "Enabled"),
          el("Transition", leaf("Days", tiering.days), leaf("RequestFrequent", 1)),
        ),
);
