import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, it } from "vitest";
import { parseXml } from "./parse.ts";
import { el, isXmlText, leaf, NOTHING, nodes, optional, raw, textNode, withAttributes, xmlDocument } from "./write.ts";

describe("writing XML", () => {
  it("is compact, with empty elements closed at once", () => {
    const entries = nodes(["a", "b"].map((key) => el("Contents", leaf("Key", key), leaf("Size", 11))));
    assert.equal(
      xmlDocument(
        el("R", leaf("Marker", ""), leaf("IsTruncated", false), optional("Next", undefined), entries, el("Buckets")),
      ),
      "<?xml version='1.0' encoding='utf-8' ?>\n" +
        "<R><Marker/><IsTruncated>false</IsTruncated>" +
        "<Contents><Key>a</Key><Size>11</Size></Contents><Contents><Key>b</Key><Size>11</Size></Contents><Buckets/></R>",
    );
  });

  it("writes attributes in the order given", () => {
    assert.equal(
      withAttributes(
        "Grantee",
        [
          ["xmlns:xsi", "urn:x"],
          ["xsi:type", 'a"<&\n'],
        ],
        textNode("t"),
        raw("<x/>"),
      ),
      '<Grantee xmlns:xsi="urn:x" xsi:type="a&quot;&lt;&amp;&#10;">t<x/></Grantee>',
    );
    assert.equal(withAttributes("A", [["b", ""]], NOTHING), '<A b=""/>');
  });

  it("escapes what markup is made of and keeps line ends of text", () => {
    assert.equal(leaf("K", `<a>&"']]>\n\t`), "<K>&lt;a&gt;&amp;&quot;&apos;]]&gt;\n\t</K>");
  });

  it("parses back for keys made of every character of the basic plane, what XML cannot carry replaced", () => {
    const wrong: string[] = [];
    for (let code = 0; code <= 0xffff; code += 1) {
      const key = `a${String.fromCharCode(code)}b`;
      const document = parseXml(Buffer.from(xmlDocument(el("R", leaf("Key", key)))));
      const carried = isXmlText(key) || key === "a\rb" ? key : "a\ufffdb";
      if (document.children[0]?.text !== carried) wrong.push(`U+${code.toString(16)}`);
    }
    assert.deepEqual(wrong, []);
  });

  it("knows which texts come back from every reader", () => {
    for (const text of ["", "a\n\tb", "报告 😀", "\u0085\u2028\ufffd\u007f"]) assert.equal(isXmlText(text), true, text);
    for (const text of ["\0", "\u0008", "\r", "\u001b", "\ud800", "\udc00\ud800", "\ufffe", "\uffff"])
      assert.equal(isXmlText(text), false);
  });

  it("parses back for any text, in content and in attributes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        fc.pre(isXmlText(text));
        const root = parseXml(Buffer.from(xmlDocument(withAttributes("R", [["a", text]], textNode(text)))));
        assert.equal(root.text, text);
        assert.equal(root.attributes.get("a"), text);
      }),
    );
  });
});
