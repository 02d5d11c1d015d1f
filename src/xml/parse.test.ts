import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, it } from "vitest";
import { parseXml, type XmlElement, XmlFault } from "./parse.ts";

const parse = (text: string) => parseXml(Buffer.from(text));
const shape = (element: XmlElement): unknown => [element.name, element.text, ...element.children.map(shape)];

describe("parseXml", () => {
  it("reads elements, text, CDATA, references and attributes, and where they stand", () => {
    const root = parse(
      '<?xml version="1.0" encoding="UTF-8"?>\n<A>\n  <B q="&quot;1">x &amp; <![CDATA[<y>]]>&#65;</B><C/></A>',
    );
    assert.deepEqual(shape(root), ["A", "\n  ", ["B", "x & <y>A"], ["C", ""]]);
    assert.equal(root.children[0]?.attributes.get("q"), '"1');
    assert.deepEqual([root.line, root.children[0]?.line], [2, 3]);
  });

  it("matches local names under any namespace and prefix, declared or not", () => {
    const root = parse('<p:A xmlns="urn:x" xmlns:p="urn:p"><B xsi:type="Group" xmlns:xsi="urn:i"/></p:A>');
    assert.deepEqual(shape(root), ["A", "", ["B", ""]]);
    assert.deepEqual([...(root.children[0]?.attributes ?? [])], [["type", "Group"]]);
  });

  it.each([
    ["a byte order mark", "\ufeff<A/>"],
    ["comments", "<!-- a --><A><!-- b --></A><!-- c -->"],
    ["a declaration of UTF-8 in any case", "<?xml version='1.0' encoding='utf-8' standalone='yes'?><A/>"],
    ["blanks around the root", "\n<A/>\n"],
  ])("accepts %s", (_, text) => assert.equal(parse(text).name, "A"));

  it("keeps names like those of Object.prototype apart from it", () => {
    const root = parse('<__proto__ __proto__="1" constructor="2"><constructor/></__proto__>');
    assert.deepEqual(shape(root), ["__proto__", "", ["constructor", ""]]);
    assert.deepEqual(
      [...root.attributes],
      [
        ["__proto__", "1"],
        ["constructor", "2"],
      ],
    );
  });

  const refused: [why: string, text: string | Buffer][] = [
    ["nothing", ""],
    ["blanks", "  \n"],
    ["text alone", "hello"],
    ["JSON", '{"a":1}'],
    ["a document type", "<!DOCTYPE A><A/>"],
    ["an unfinished document type", "<!DOCTYPE A [ <!ENTITY"],
    ["a document type twice", "<!DOCTYPE A><!DOCTYPE A><A/>"],
    ["an entity", '<!DOCTYPE A [<!ENTITY x "y">]><A>&x;</A>'],
    ["an external entity", '<!DOCTYPE A [<!ENTITY x SYSTEM "file:///etc/passwd">]><A>&x;</A>'],
    ["a parameter entity", '<!DOCTYPE A [<!ENTITY % x SYSTEM "http://h/"> %x;]><A/>'],
    ["an entity declaration without a document type", '<A><!ENTITY x "y"></A>'],
    ["an unknown entity", "<A>&nbsp;</A>"],
    ["an entity named like a member of Object", "<A>&constructor;&__proto__;</A>"],
    ["a processing instruction before", "<?php x?><A/>"],
    ["a processing instruction within", "<A><?x y?></A>"],
    ["a processing instruction after", "<A/><?x?>"],
    ["XML 1.1", "<?xml version='1.1'?><A/>"],
    ["a second declaration", "<?xml version='1.0'?><?xml version='1.0'?><A/>"],
    ["a declaration of UTF-16", "<?xml version='1.0' encoding='utf-16'?><A/>"],
    ["a declaration of UTF-7", "<?xml version='1.0' encoding='utf-7'?><A/>"],
    ["a declaration of GBK", "<?xml version='1.0' encoding='gbk'?><A/>"],
    ["UTF-16 with its mark", Buffer.from("\ufeff<A/>", "utf16le")],
    ["UTF-16 without its mark", Buffer.from("<A/>", "utf16le")],
    ["bytes that are not UTF-8", Buffer.from([0x3c, 0x41, 0x3e, 0xff, 0x3c, 0x2f, 0x41, 0x3e])],
    ["an overlong form", Buffer.from([0x3c, 0x41, 0x3e, 0xc0, 0xaf, 0x3c, 0x2f, 0x41, 0x3e])],
    ["a surrogate", Buffer.from([0x3c, 0x41, 0x3e, 0xed, 0xa0, 0x80, 0x3c, 0x2f, 0x41, 0x3e])],
    ["a NUL", "<A>\0</A>"],
    ["a control character", "<A>\u0001</A>"],
    ["a reference to a control character", "<A>&#1;</A>"],
    ["a reference beyond Unicode", "<A>&#x110000;</A>"],
    ["U+FFFE", "<A>\ufffe</A>"],
    ["a second root", "<A/><B/>"],
    ["text after the root", "<A/>x"],
    ["text before the root", "x<A/>"],
    ["an element left open", "<A><B></A>"],
    ["a tag left open", "<A"],
    ["a stray end tag", "<A></B>"],
    ["CDATA left open", "<A><![CDATA[x</A>"],
    ["]]> in text", "<A>]]></A>"],
    ["a repeated attribute", "<A b='1' b='2'/>"],
    ["an attribute without quotes", "<A b=1/>"],
    ["< in an attribute", "<A b='<'/>"],
    ["-- in a comment", "<A><!-- -- --></A>"],
    ["17 levels", "<a>".repeat(17) + "</a>".repeat(17)],
    ["100,000 levels", "<a>".repeat(100_000)],
    ["17 attributes", `<A ${Array.from({ length: 17 }, (_, i) => `a${i}=""`).join(" ")}/>`],
    ["17 namespace declarations", `<A ${Array.from({ length: 17 }, (_, i) => `xmlns:a${i}=""`).join(" ")}/>`],
    ["a long name", `<${"a".repeat(129)}/>`],
    ["a long attribute name", `<A ${"a".repeat(129)}=""/>`],
  ];
  it.each(refused)("refuses %s", (_, text) => {
    assert.throws(() => parseXml(Buffer.from(text)), XmlFault);
  });

  it("accepts what lies exactly on its bounds", () => {
    assert.equal(parse("<a>".repeat(16) + "</a>".repeat(16)).name, "a");
    assert.equal(parse(`<A ${Array.from({ length: 16 }, (_, i) => `a${i}=""`).join(" ")}/>`).attributes.size, 16);
    const four = { depthMax: 2, elementsMax: 4 };
    assert.equal(parseXml(Buffer.from("<a><b/><b/><b/></a>"), four).children.length, 3);
    assert.throws(() => parseXml(Buffer.from("<a><b/><b/><b/><b/></a>"), four), /more than 4 elements/);
  });

  it("says where a fault is", () => {
    assert.throws(() => parse("<A>\n  <B></C>\n</A>"), { name: "XmlFault", line: 2, column: 9 });
  });

  it.each([
    [
      "billions of laughs",
      `<!DOCTYPE l [<!ENTITY a "${"l".repeat(30_000)}">${"<!ENTITY b '&a;&a;'>".repeat(1000)}]><l>&b;</l>`,
    ],
    ["numeric references", `<A>${"&#65;".repeat(13_000)}</A>`],
    ["attributes", `<A ${"a='' ".repeat(13_000)}/>`],
    ["CDATA", `<A>${"<![CDATA[x]]>".repeat(5000)}</A>`],
    ["open tags", "<".repeat(65_536)],
    ["comments", `<A>${"<!---->".repeat(9000)}</A>`],
  ])("spends little on a full body of %s", (_, text) => {
    const begun = performance.now();
    try {
      parse(text);
    } catch (error) {
      assert.ok(error instanceof XmlFault);
    }
    // Alone it takes under 50 ms; the rest is room for a busy machine.
    assert.ok(performance.now() - begun < 1000);
  });

  it("answers any bytes with a tree or an XmlFault", () => {
    const pieces = fc.constantFrom(
      ...Array.from("<>/?!-[]&;#x'\"= aA:\n\0"),
      "<A>",
      "</A>",
      "<![CDATA[",
      "]]>",
      "<!--",
      "<?",
      "&#",
      "é",
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), fc.boolean(), (parts, wrap) => {
        const text = parts.join("");
        try {
          assert.equal(typeof parse(wrap ? `<A>${text}</A>` : text).name, "string");
        } catch (error) {
          assert.ok(error instanceof XmlFault, String(error));
        }
      }),
      { numRuns: 3000 },
    );
  });
});
