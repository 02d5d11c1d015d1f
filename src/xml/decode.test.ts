import assert from "node:assert/strict";
import { describe, it } from "vitest";
import {
  boolean,
  child,
  children,
  integer,
  oneOf,
  only,
  requiredInteger,
  requiredText,
  text,
  textOf,
} from "./decode.ts";
import { parseXml, XmlFault } from "./parse.ts";

const parse = (text: string) => parseXml(Buffer.from(text));

describe("decoding", () => {
  const part = parse("<P><N> 7 </N><Q>TRUE</Q><K> a </K><E/><I>1</I><I>2</I><W>On</W></P>");

  it("gives what is there and undefined for what is not", () => {
    assert.equal(integer(part, "N", { min: 1, max: 7 }), 7);
    assert.equal(boolean(part, "Q"), true);
    assert.equal(text(part, "K"), " a ");
    assert.equal(text(part, "E"), "");
    assert.equal(oneOf(part, "W", ["On", "Off"]), "On");
    assert.deepEqual(children(part, "I").map(textOf), ["1", "2"]);
    assert.deepEqual(
      [
        child(part, "X"),
        text(part, "X"),
        integer(part, "X", { min: 0, max: 1 }),
        boolean(part, "X"),
        oneOf(part, "X", ["a"]),
      ],
      [undefined, undefined, undefined, undefined, undefined],
    );
  });

  it.each<[what: string, read: () => unknown, says: RegExp]>([
    ["a missing child", () => requiredText(part, "X"), /expected <X> in <P> \(line 1/],
    ["an empty child", () => requiredText(part, "E"), /expected text in <E>/],
    ["a repeated child", () => child(part, "I"), /expected one <I> in <P>/],
    ["a missing number", () => requiredInteger(part, "X", { min: 0, max: 1 }), /expected <X>/],
    ["a number beyond its bound", () => integer(part, "N", { min: 1, max: 6 }), /a whole number from 1 to 6 in <N>/],
    ["a word for a number", () => integer(part, "K", { min: 1, max: 6 }), /whole number/],
    ["a number for a truth", () => boolean(part, "N"), /expected true or false in <N>/],
    ["another word", () => oneOf(part, "W", ["on", "off"]), /expected one of on, off in <W>/],
    ["elements for text", () => textOf(part), /expected text alone in <P>/],
    ["another element", () => only(part, ["N", "Q"]), /expected <N> or <Q> in <P>/],
    ["text between elements", () => only(parse("<A>x<B/></A>"), ["B"]), /expected no text in <A>/],
  ])("refuses %s and says what was expected", (_, read, says) => {
    assert.throws(read, (error) => error instanceof XmlFault && says.test(error.message));
  });

  it.each(["", " ", "1.0", "1e3", "0x1", "+1", "１", "1 1", "9".repeat(16), "NaN", "-"])(
    "does not take %j for a number",
    (value) => {
      assert.throws(() => integer(parse(`<A><N>${value}</N></A>`), "N", { min: -1e15, max: 1e15 }), XmlFault);
    },
  );

  it("passes what only() lists", () => assert.doesNotThrow(() => only(parse("<A>\n <B/> <C/>\n</A>"), ["B", "C"])));
});
