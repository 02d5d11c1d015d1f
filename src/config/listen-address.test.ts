import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { formatListen, isLoopback, parseListen, reachableHost } from "./listen-address.ts";

describe("parseListen", () => {
  it.each([
    ["127.0.0.1:9000", "127.0.0.1", 9000],
    ["localhost:0", "localhost", 0],
    ["0.0.0.0:80", "0.0.0.0", 80],
    ["[::1]:9000", "::1", 9000],
    ["[::]:65535", "::", 65_535],
    ["[fe80::1%eth0]:9000", "fe80::1%eth0", 9000],
    ["cos.example:443", "cos.example", 443],
  ])("reads %s, and writes it the same way", (text, host, port) => {
    assert.deepEqual(parseListen(text), { host, port });
    assert.equal(formatListen({ host, port }), text);
  });

  it.each([
    "",
    ":9000",
    "9000",
    "localhost",
    "localhost:",
    "::1:9000",
    "[::1]",
    "[::1]9000",
    "[host]:1",
    "a:65536",
    "a:-1",
  ])("refuses %j", (text) => assert.equal(parseListen(text), undefined));
  it.each(["a b:1", "a:1e3", "a: 1", "*:9000", "http://a:1", "a/b:1", "-a:1", "a:９"])("refuses %j", (text) =>
    assert.equal(parseListen(text), undefined),
  );
});

describe("isLoopback", () => {
  it("holds for the loopback addresses and localhost only", () => {
    assert.deepEqual(["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST"].map(isLoopback), Array(5).fill(true));
    assert.deepEqual(
      ["0.0.0.0", "::", "192.168.1.1", "127.evil.example", "127.0.0.1.evil", "localhost.evil", "::ffff:127.0.0.1"].map(
        isLoopback,
      ),
      Array(7).fill(false),
    );
  });
});

describe("reachableHost", () => {
  it("names loopback for the wildcard addresses", () => {
    assert.deepEqual(["0.0.0.0", "::", "10.0.0.1"].map(reachableHost), ["127.0.0.1", "::1", "10.0.0.1"]);
  });
});
