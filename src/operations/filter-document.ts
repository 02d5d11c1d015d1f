/** The element `Filter` of rules that are about some of a bucket's objects: one condition, or several in `And`. Pure. */

import { child, children, faultAt, only } from "../xml/decode.ts";
import type { XmlElement } from "../xml/parse.ts";
import { el, nodes, type XmlNode } from "../xml/write.ts";

/**
 * The element that holds the conditions of a filter: itself, or its `And`. Raises MalformedXML for conditions other than
 * `names`, and for several outside of `And`.
 */
export function conditionsIn(filter: XmlElement, names: readonly string[]): XmlElement {
  only(filter, ["And", ...names]);
  if (filter.children.length > 1) throw faultAt(filter, "expected one condition, or <And>, in <Filter>");
  const and = child(filter, "And");
  if (and !== undefined) only(and, names);
  const holder = and ?? filter;
  for (const tag of children(holder, "Tag")) only(tag, ["Key", "Value"]);
  return holder;
}

/** A filter of these conditions; without any it is about every object. */
export function filterNode(conditions: readonly XmlNode[]): XmlNode {
  if (conditions.length === 0) return el("Filter");
  return el("Filter", conditions.length === 1 ? nodes(conditions) : el("And", nodes(conditions)));
}
