/** The strict signature configuration as a document: what it may hold, and how it is told. Pure. */

import type { StrictSignatureConfiguration, StrictSignatureRule } from "../../access/strict-signature.ts";
import { refuse } from "../../errors/cos-error.ts";
import type { Limits } from "../../limits.ts";
import { required, xmlBody } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { child, children, faultAt, textOf } from "../../xml/decode.ts";
import type { XmlElement } from "../../xml/parse.ts";
import { el, leaf, nodes, type XmlNode } from "../../xml/write.ts";

const NAME = /^[A-Za-z0-9._-]{1,255}$/;
const ACTION = /^(?:name\/cos:)?(\*|[A-Za-z]{1,64}\*?)$/;
/** Operations that are not signed as the mode looks at it. A wildcard passes over them. (overview of the mode) */
const WITHOUT: ReadonlySet<string> = new Set(["getservice", "postobject"]);
const isBatch = (action: string): boolean => /job/i.test(action);
const HEADERS: ReadonlySet<string> = new Set([
  "content-length",
  "content-md5",
  "content-type",
  "host",
  "range",
  "x-cos-acl",
  "x-cos-grant-full-control",
  "x-cos-grant-read",
  "x-cos-grant-read-acp",
  "x-cos-grant-write",
  "x-cos-grant-write-acp",
  "x-cos-*",
]);

const invalid = (message: string) => refuse("InvalidArgument", { message: `The strict signature rule ${message}.` });

/** Texts of the elements `one` in the list `list`; none where there is no list. */
function listed(rule: XmlElement, list: string, one: string, most: number): readonly string[] {
  const parent = child(rule, list);
  const texts = parent === undefined ? [] : children(parent, one).map((element) => textOf(element).trim());
  if (texts.length > most) throw invalid(`has more than ${most} of <${one}>`);
  return texts.filter((text) => text !== "");
}

function actionOf(text: string): string {
  const [, action] = ACTION.exec(text) ?? [];
  if (action === undefined) throw invalid(`has an action that is none: ${text.slice(0, 128)}`);
  if (WITHOUT.has(action.toLowerCase()) || isBatch(action))
    throw invalid(`names ${action}, which is outside of the mode`);
  return action;
}

function headerOf(text: string): string {
  if (!HEADERS.has(text.toLowerCase()))
    throw invalid(`names a header that is outside of the mode: ${text.slice(0, 128)}`);
  return text;
}

function parameterOf(text: string): string {
  if (!NAME.test(text)) throw invalid(`names a parameter that none is called: ${text.slice(0, 128)}`);
  return text;
}

function decodeRule(rule: XmlElement, limits: Limits): StrictSignatureRule {
  const id = child(rule, "ID");
  if (id === undefined) throw faultAt(rule, "expected <ID> in <Rule>");
  const name = textOf(id).trim();
  if (!NAME.test(name)) throw invalid("has an ID that is not 1 to 255 of A-Z a-z 0-9 . _ -");
  return {
    id: name,
    actions: listed(rule, "actionlist", "action", limits.strictActionsMax).map(actionOf),
    headers: listed(rule, "headerlist", "header", limits.strictNamesMax).map(headerOf),
    parameters: listed(rule, "paramlist", "param", limits.strictNamesMax).map(parameterOf),
  };
}

function decode(root: XmlElement, limits: Limits): StrictSignatureConfiguration {
  const rules = children(root, "Rule");
  if (rules.length === 0) throw faultAt(root, "expected <Rule> in <StrictSignatureConfiguration>");
  if (rules.length > limits.strictRulesMax) {
    throw refuse("InvalidArgument", {
      message: `A bucket has at most ${limits.strictRulesMax} strict signature rules.`,
    });
  }
  const read = rules.map((rule) => decodeRule(rule, limits));
  if (new Set(read.map(({ id }) => id)).size < read.length) throw invalid("has the ID of another one");
  return { rules: read };
}

/** The document of a request. Raises InvalidArgument besides what a document raises. */
export const strictSignatureBody = required(
  xmlBody({ root: "StrictSignatureConfiguration", bytesMax: (limits) => limits.xmlBytesMax, decode }),
  "MissingRequestBodyError",
);

const listNode = (list: string, one: string, texts: readonly string[]): XmlNode =>
  texts.length === 0 ? nodes([]) : el(list, nodes(texts.map((text) => leaf(one, text))));

/** The document of an answer; empty where there are no rules. */
export const strictSignatureOutput = out.xml(
  "StrictSignatureConfiguration",
  (configuration: StrictSignatureConfiguration | undefined): XmlNode =>
    el(
      "StrictSignatureConfiguration",
      nodes(
        (configuration?.rules ?? []).map(({ id, actions, headers, parameters }) =>
          el(
            "Rule",
            leaf("ID", id),
            listNode("actionlist", "action", actions),
            listNode("headerlist", "header", headers),
            listNode("paramlist", "param", parameters),
          ),
        ),
      ),
    ),
);
