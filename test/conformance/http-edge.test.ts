/** What a client sees of the HTTP edge: requests that no SDK sends, slow and vanishing clients, and the ids of answers. */

import assert from "node:assert/strict";
import { once } from "node:events";
import type { Server as HttpServer } from "node:http";
import { connect, Server as NetServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, it, vi } from "vitest";
import { CATALOGUE, type ErrorId } from "../../src/errors/catalogue.ts";
import { refuse } from "../../src/errors/cos-error.ts";
import type { Answer } from "../../src/http/answer.ts";
import type { WireRequest } from "../../src/http/request.ts";
import { type RawClient, type ReadAnswer, readAnswers, type TestEdge, testEdge } from "../fixtures/edge.ts";

const HOST = "demo-1250000000.cos.ap-guangzhou.myqcloud.com";
const REQUEST_ID = /^[0-9a-f]{8}_[0-9a-f]{8}_[0-9a-f]{5}_[0-9a-f]+$/;
const decoded = (base64: string | undefined): string => Buffer.from(base64 ?? "", "base64").toString("latin1");

/** Tells what it understood: a test that a request was read right compares this. */
async function echo(request: WireRequest): Promise<Answer> {
  const body = await request.body.collect(1024 ** 2, "EntityTooLarge");
  const { method, target, headers } = request;
  const told = { method, host: target.authority.text, rawPath: target.rawPath, path: target.path };
  const text = JSON.stringify({ ...told, fields: [...headers.entries()], body: body.toString("latin1") });
  return { status: 200, headers: [["Content-Type", "application/json"]], body: text };
}

interface Echo {
  readonly method: string;
  readonly host: string;
  readonly rawPath: string;
  readonly path: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
}
const echoOf = (answer: ReadAnswer): Echo => JSON.parse(Buffer.from(answer.body, "latin1").toString("utf8")) as Echo;
const only = (answers: readonly ReadAnswer[]): ReadAnswer => {
  assert.equal(answers.length, 1, JSON.stringify(answers.map(({ status, body }) => [status, body])));
  return answers[0] as ReadAnswer;
};

/** A refusal as every client must be able to read it, with ids of the real form that are the same in head and body. */
function assertRefusal(answer: ReadAnswer, id: ErrorId): void {
  const row = CATALOGUE[id];
  assert.equal(answer.element("Code"), row.code, answer.body);
  assert.equal(answer.status, row.status);
  assert.equal(answer.field("Content-Type"), "application/xml");
  assert.equal(answer.field("Server"), "tencent-cos");
  assert.match(answer.field("Date") ?? "", /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/);
  assert.match(answer.field("x-cos-request-id") ?? "", /^N[A-Za-z0-9+/]+=*$/);
  assert.match(decoded(answer.field("x-cos-request-id")), REQUEST_ID);
  assert.match(decoded(answer.field("x-cos-trace-id")), /^[0-9a-f]{128}$/);
  assert.equal(answer.element("RequestId"), answer.field("x-cos-request-id"));
  assert.equal(answer.element("TraceId"), answer.field("x-cos-trace-id"));
  for (const name of ["Message", "Resource"]) assert.notEqual(answer.element(name) ?? "", "", name);
}

/** Resolves when the connection is gone, reset or not. */
const lost = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once("close", () => resolve()));

let edge: TestEdge;
beforeAll(async () => {
  edge = await testEdge(echo);
});
afterAll(async () => {
  // Whatever the tests of this file sent, the server still serves, and nothing was a fault of its own.
  const answer = only(
    readAnswers(await edge.exchange(`GET /alive HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`)),
  );
  assert.equal(answer.status, 200);
  assert.deepEqual(edge.faults, []);
  await edge.stop();
});

/** Sends a message whose connection the server must close, and returns its one answer. */
async function refusedAndClosed(message: string | Buffer): Promise<ReadAnswer> {
  const answer = only(readAnswers(await edge.exchange(message)));
  assert.equal(answer.field("Connection"), "close");
  return answer;
}

describe("the HTTP edge, malformed requests", () => {
  const malformed: readonly (readonly [what: string, message: string])[] = [
    ["two Host headers", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nHost: ${HOST}\r\n\r\n`],
    ["two Host headers that differ", `GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`],
    ["two Authorization headers", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n`],
    ["two Content-Type headers", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Type: a/b\r\nContent-Type: a/b\r\n\r\n`],
    ["two Content-MD5 headers", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nContent-MD5: a\r\ncontent-md5: a\r\n\r\n`],
    ["two Range headers", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nRange: bytes=0-1\r\nRange: bytes=2-3\r\n\r\n`],
    ["two If-Match headers", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nIf-Match: "a"\r\nIf-Match: "b"\r\n\r\n`],
    [
      "two x-cos-acl headers",
      `GET / HTTP/1.1\r\nHost: ${HOST}\r\nx-cos-acl: private\r\nX-COS-ACL: public-read\r\n\r\n`,
    ],
    ["two Expires headers", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nExpires: a\r\nExpires: b\r\n\r\n`],
    ["no Host header", "GET / HTTP/1.1\r\n\r\n"],
    ["an empty Host header", "GET / HTTP/1.1\r\nHost:\r\n\r\n"],
    ["a Host that is no host name", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"],
    [
      "two different Content-Lengths",
      `PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
    ],
    [
      "two equal Content-Lengths",
      `PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc`,
    ],
    ["a list as Content-Length", `PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3, 3\r\n\r\nabc`],
    ["Content-Length +3", `PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: +3\r\n\r\nabc`],
    ["Content-Length 0x3", `PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 0x3\r\n\r\nabc`],
    [
      "a Content-Length beyond 64 bits",
      `PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 99999999999999999999\r\n\r\nabc`,
    ],
    [
      "Content-Length and chunked",
      `PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      "chunked and Content-Length",
      `PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
    ],
    ["Transfer-Encoding identity", `PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: identity\r\n\r\nabc`],
    [
      "Transfer-Encoding chunked, identity",
      `PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
    ],
    ["chunked in HTTP/1.0", `PUT /a HTTP/1.0\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["a folded header", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nX-A: b\r\n c\r\n\r\n`],
    ["lines that end in LF alone", `GET / HTTP/1.1\nHost: ${HOST}\n\n`],
    ["a blank before the colon", `GET / HTTP/1.1\r\nHost : ${HOST}\r\n\r\n`],
    ["a header without a name", `GET / HTTP/1.1\r\nHost: ${HOST}\r\n: a\r\n\r\n`],
    ["a header without a colon", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nnonsense\r\n\r\n`],
    ["a NUL in a header", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nX-A: b\0c\r\n\r\n`],
    ["a lone CR in a header", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nX-A: b\rc\r\n\r\n`],
    ["a header block beyond its bound", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nX-A: ${"a".repeat(17_000)}\r\n\r\n`],
    ["a target beyond the bound", `GET /${"a".repeat(40_000)} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`],
    ["more header fields than allowed", `GET / HTTP/1.1\r\nHost: ${HOST}\r\n${"a:\r\n".repeat(300)}\r\n`],
    ["a fragment in the target", `GET /a#b HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`],
    ["a target of another scheme", `GET ftp://${HOST}/a HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`],
    ["a target that names another host", `GET http://other.example/a HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`],
    ["an unknown version", `GET / HTTP/3.7\r\nHost: ${HOST}\r\n\r\n`],
    ["no version", `GET /\r\nHost: ${HOST}\r\n\r\n`],
    ["a TLS greeting on the plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ["an expectation that is not 100-continue", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nExpect: the-unexpected\r\n\r\n`],
  ];
  for (const [what, message] of malformed) {
    it(`BadRquest: ${what}, and the connection closes`, async () => {
      assertRefusal(await refusedAndClosed(message), "BadRquest");
    });
  }

  it("BadRquest: the connection ends within the headers", async () => {
    const client = edge.client();
    client.send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nX-A: `);
    client.socket.end();
    assertRefusal(only(readAnswers(await client.closed())), "BadRquest");
  });

  it("BadRquest: a chunk extension of 20 KB, told to the handler that reads the body", async () => {
    const message = `PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n5;${"a".repeat(20_480)}\r\nabcde\r\n0\r\n\r\n`;
    assertRefusal(await refusedAndClosed(message), "BadRquest");
  });

  it("BadRquest: a chunk size that is no number", async () => {
    const message = `PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabcde\r\n0\r\n\r\n`;
    assertRefusal(await refusedAndClosed(message), "BadRquest");
  });

  it("BadRquest: a bad message behind a good one is told after the good one's answer", async () => {
    const message = `GET /first HTTP/1.1\r\nHost: ${HOST}\r\n\r\nGET /second HTTP/1.1\r\nHost : ${HOST}\r\n\r\n`;
    const [first, second, ...more] = readAnswers(await edge.exchange(message));
    assert.equal(echoOf(first as ReadAnswer).path, "/first");
    assertRefusal(second as ReadAnswer, "BadRquest");
    assert.deepEqual(more, []);
  });

  const undecodable: readonly (readonly [what: string, target: string])[] = [
    ["no slash", "a"],
    ["raw UTF-8", "/caf\xc3\xa9"],
    ["a raw NUL", "/a\0b"],
    ["an encoded NUL", "/a%00b"],
    ["a lone percent sign", "/a%"],
    ["an escape that is not UTF-8", "/%ff"],
    ["an overlong escape", "/%c0%af"],
    ["an encoded NUL in the query", "/a?b=%00"],
  ];
  for (const [what, target] of undecodable) {
    it(`InvalidURI: ${what} in the target`, async () => {
      const message = `GET ${target} HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`;
      assertRefusal(await refusedAndClosed(message), "InvalidURI");
    });
  }

  it("NotImplemented: a transfer coding besides chunked", async () => {
    const message = `PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`;
    assertRefusal(await refusedAndClosed(message), "NotImplemented");
  });

  for (const [what, message] of [
    ["an unknown method", `BREW /pot HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`],
    ["a method in lower case", `get / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`],
    ["CONNECT, because the server is no tunnel", `CONNECT ${HOST}:443 HTTP/1.1\r\nHost: ${HOST}:443\r\n\r\n`],
  ] as const) {
    it(`MethodNotAllowed: ${what}`, async () => {
      const answer = await refusedAndClosed(message);
      assertRefusal(answer, "MethodNotAllowed");
      assert.equal(answer.field("Allow"), "DELETE, GET, HEAD, OPTIONS, POST, PUT");
    });
  }

  it("BadRquest: a malformed HEAD is refused without a body", async () => {
    const received = await edge.exchange(`HEAD / HTTP/1.1\r\nHost : ${HOST}\r\n\r\n`);
    const answer = only(readAnswers(received, [0]));
    assert.equal(answer.status, 400);
    assert.match(decoded(answer.field("x-cos-request-id")), REQUEST_ID);
  });
});

describe("the HTTP edge, odd requests that are served", () => {
  const served = async (message: string | Buffer): Promise<Echo> => {
    const answer = only(readAnswers(await edge.exchange(message)));
    assert.equal(answer.status, 200, answer.body);
    return echoOf(answer);
  };

  it("keeps dot segments and doubled slashes of the path", async () => {
    const told = await served(`GET /x/../..//%2e%2e/y HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`);
    assert.equal(told.rawPath, "/x/../..//%2e%2e/y");
    assert.equal(told.path, "/x/../..//../y");
  });

  it("takes a target in absolute form, as a proxy does", async () => {
    const told = await served(`GET http://${HOST}/a HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`);
    assert.deepEqual([told.host, told.path], [HOST, "/a"]);
  });

  it("answers HTTP/1.0 without chunks, and closes", async () => {
    const answer = only(
      readAnswers(await edge.exchange(`GET /a HTTP/1.0\r\nHost: ${HOST}\r\nConnection: keep-alive\r\n\r\n`)),
    );
    assert.equal(answer.status, 200);
    assert.equal(answer.field("Connection"), "close");
    assert.equal(answer.field("Transfer-Encoding"), undefined);
    assert.equal(answer.field("Content-Length"), String(answer.body.length));
  });

  it("takes HTTP/1.0 without a Host as meant for the address that was connected to", async () => {
    assert.equal((await served("GET /a HTTP/1.0\r\n\r\n")).host, `127.0.0.1:${edge.port}`);
  });

  it("answers a client that has ended its side after the request", async () => {
    const other = await testEdge(async (request) => {
      await sleep(50);
      return echo(request);
    });
    const client = other.client();
    client.send(`PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 5\r\n\r\nhello`);
    client.socket.end();
    const answer = only(readAnswers(await client.closed()));
    assert.equal(echoOf(answer).body, "hello");
    assert.equal(answer.field("Connection"), "close");
    await other.stop();
  });

  it("passes on headers named __proto__ and constructor as headers", async () => {
    const told = await served(
      `GET /a HTTP/1.1\r\nHost: ${HOST}\r\n__proto__: x\r\nconstructor: y\r\n__proto__: z\r\nConnection: close\r\n\r\n`,
    );
    assert.deepEqual(
      told.fields.filter(([name]) => name === "__proto__" || name === "constructor"),
      [
        ["__proto__", "x, z"],
        ["constructor", "y"],
      ],
    );
    assert.equal(({} as { x?: string }).x, undefined);
  });

  it("keeps bytes beyond ASCII in header values as they are, in both directions", async () => {
    const value = "caf\xc3\xa0";
    const other = await testEdge(async (request) => ({
      status: 200,
      headers: [["x-cos-meta-name", request.headers.get("x-cos-meta-name") ?? ""]],
      body: "h\u00e9",
    }));
    const message = `GET / HTTP/1.1\r\nHost: a\r\nx-cos-meta-name: ${value}\r\nConnection: close\r\n\r\n`;
    const answer = only(readAnswers(await other.exchange(message)));
    await other.stop();
    assert.equal(answer.field("x-cos-meta-name"), value);
    assert.equal(answer.body, "h\xc3\xa9");
  });

  it("ignores X-HTTP-Method-Override and an offer to upgrade", async () => {
    const told = await served(
      `GET /a HTTP/1.1\r\nHost: ${HOST}\r\nX-HTTP-Method-Override: DELETE\r\nConnection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
    );
    assert.equal(told.method, "GET");
  });

  it("hands TRACE and OPTIONS * on to the router", async () => {
    assert.equal((await served(`TRACE /a HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`)).method, "TRACE");
    assert.equal((await served(`OPTIONS * HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`)).path, "*");
  });

  it("reads a chunked body", async () => {
    const told = await served(
      `PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n`,
    );
    assert.equal(told.body, "hello world");
  });

  it("answers 500 pipelined requests in their order, with an id each", async () => {
    const client = edge.client();
    const count = 500;
    let message = "";
    for (let n = 0; n < count; n++) message += `PUT /${n} HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 2\r\n\r\nhi`;
    client.send(message);
    client.socket.end();
    const answers = readAnswers(await client.closed());
    assert.deepEqual(
      answers.map((answer) => echoOf(answer).path),
      Array.from({ length: count }, (_, n) => `/${n}`),
    );
    assert.equal(new Set(answers.map((answer) => answer.field("x-cos-request-id"))).size, count);
  });

  it("keeps the connection after a small body that nobody read", async () => {
    const other = await testEdge(async () => {
      throw refuse("AccessDenied");
    });
    const client = other.client();
    for (let n = 1; n <= 3; n++) {
      client.send(`PUT /${n} HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n${"x".repeat(40_000)}`);
      await client.until((received) => received.split("</Error>").length === n + 1);
    }
    const answers = readAnswers(client.received);
    await other.stop();
    assert.deepEqual(
      answers.map(({ status, field }) => [status, field("Connection")]),
      Array.from({ length: 3 }, () => [403, "keep-alive"]),
    );
  });
});

describe("the HTTP edge, slow and vanishing clients", () => {
  const put = (length: number): string => `PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: ${length}\r\n\r\n`;
  async function readAll({ body }: WireRequest): Promise<Answer> {
    let bytes = 0;
    for await (const chunk of body.stream()) bytes += chunk.length;
    return { status: 200, headers: [], body: String(bytes) };
  }
  const readers = [
    ["collected", echo],
    ["streamed", readAll],
  ] as const;

  for (const [way, handler] of readers) {
    it(`IncompleteBody: the client ends its side within a ${way} body`, async () => {
      const other = await testEdge(handler);
      const client = other.client();
      client.send(`${put(1000)}abc`);
      client.socket.end();
      assertRefusal(only(readAnswers(await client.closed())), "IncompleteBody");
      await other.stop();
    });

    it(`IncompleteBody: a ${way} chunked body without its last chunk`, async () => {
      const other = await testEdge(handler);
      const client = other.client();
      client.send(`PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`);
      client.socket.end();
      assertRefusal(only(readAnswers(await client.closed())), "IncompleteBody");
      await other.stop();
    });

    it(`RequestTimeout: nothing arrives of a ${way} body for longer than the bound`, async () => {
      const other = await testEdge(handler, { limits: { bodyIdleMs: 150 } });
      const client = other.client();
      client.send(`${put(1000)}abc`);
      const began = performance.now();
      const received = await client.until((text) => text.includes("</Error>"), 2000);
      assert.ok(performance.now() - began >= 140, `${performance.now() - began}`);
      const answer = only(readAnswers(received));
      assertRefusal(answer, "RequestTimeout");
      assert.equal(answer.field("Connection"), "close");
      await other.stop();
    });

    it(`UserNetworkTooSlow: a ${way} body below the rate floor, though it never pauses for long`, async () => {
      const limits = { bodyIdleMs: 5000, bodyRateFloor: 1000, bodyRateWindowMs: 300 };
      const other = await testEdge(handler, { limits });
      const client = other.client();
      client.send(put(100_000));
      const drip = setInterval(() => client.send("a"), 20);
      const received = await client.until((text) => text.includes("</Error>"), 2000);
      clearInterval(drip);
      assertRefusal(only(readAnswers(received)), "UserNetworkTooSlow");
      await other.stop();
    });

    it(`takes a ${way} body that is slow but above the floor, however long it takes`, async () => {
      const limits = { bodyIdleMs: 400, bodyRateFloor: 100, bodyRateWindowMs: 100 };
      const other = await testEdge(handler, { limits });
      const client = other.client();
      client.send(put(400));
      for (let n = 0; n < 20; n++) {
        client.send("a".repeat(20));
        await sleep(30);
      }
      await client.until((text) => text.includes("200 OK"));
      await other.stop();
    });
  }

  it("counts no time against a client in which the handler was busy", async () => {
    const limits = { bodyIdleMs: 100, bodyRateFloor: 100_000, bodyRateWindowMs: 100 };
    const other = await testEdge(
      async ({ body }) => {
        let bytes = 0;
        for await (const chunk of body.stream()) {
          bytes += chunk.length;
          if (bytes === chunk.length) await sleep(400);
        }
        return { status: 200, headers: [], body: String(bytes) };
      },
      { limits },
    );
    const client = other.client();
    client.send(`${put(2_000_000)}${"a".repeat(2_000_000)}`);
    const received = await client.until((text) => text.endsWith("2000000"));
    assert.equal(only(readAnswers(received)).status, 200);
    await other.stop();
  });

  it("has no bound on the time that a request takes as a whole", async () => {
    // Node would end any request after 300 s; that it does not is a setting, and waiting is no test.
    const listen = vi.spyOn(NetServer.prototype, "listen");
    const other = await testEdge(echo);
    await other.stop();
    assert.deepEqual(
      listen.mock.contexts.map((server) => (server as HttpServer).requestTimeout),
      [0],
    );
  });

  it("RequestTimeout: headers that do not end within the bound", async () => {
    const other = await testEdge(echo, { limits: { headersTimeoutMs: 300 } });
    const client = other.client();
    client.send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n`);
    const drip = setInterval(() => client.send("a"), 30);
    const began = performance.now();
    const received = await client.until((text) => text.includes("</Error>"), 2000);
    const tookMs = performance.now() - began;
    clearInterval(drip);
    assertRefusal(only(readAnswers(received)), "RequestTimeout");
    assert.ok(tookMs < 600, `${tookMs} ms`);
    await other.stop();
  });

  it("closes a connection that never sends anything, without a word", async () => {
    const other = await testEdge(echo, { limits: { headersTimeoutMs: 200 } });
    assert.equal(await other.client().closed(2000), "");
    await other.stop();
  });

  it("cuts off a client that does not read its answer", async () => {
    let released = false;
    const chunks = (async function* () {
      try {
        for (;;) yield Buffer.alloc(256 * 1024);
      } finally {
        released = true;
      }
    })();
    const other = await testEdge(async () => ({ status: 200, headers: [], body: { length: 2 ** 40, chunks } }), {
      limits: { writeStallMs: 200 },
    });
    const socket = connect(other.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    socket.pause();
    const deadline = performance.now() + 5000;
    while (!released && performance.now() < deadline) await sleep(20);
    assert.equal(released, true);
    socket.destroy();
    await other.stop();
  });

  it("closes what an answer holds open when the client vanishes in the middle", async () => {
    let released = false;
    let given = 0;
    const chunks = (async function* () {
      try {
        for (;;) {
          given += 1;
          yield Buffer.alloc(64 * 1024);
          await sleep(1);
        }
      } finally {
        released = true;
      }
    })();
    const other = await testEdge(async () => ({ status: 200, headers: [], body: { length: 2 ** 40, chunks } }));
    const client = other.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until((text) => text.length > 200_000);
    client.socket.destroy();
    const deadline = performance.now() + 5000;
    while (!released && performance.now() < deadline) await sleep(20);
    assert.equal(released, true, `after ${given} chunks`);
    assert.deepEqual(other.faults, []);
    await other.stop();
  });

  it("survives clients that reset the connection at any moment", async () => {
    const message = `PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 300000\r\n\r\n${"x".repeat(300_000)}`;
    for (let n = 0; n < 40; n++) {
      const socket = connect(edge.port, "127.0.0.1");
      socket.on("error", () => undefined);
      await once(socket, "connect");
      socket.write(message.slice(0, Math.ceil((message.length * n) / 39)));
      if (n % 3 === 0) await sleep(1);
      socket.resetAndDestroy();
    }
    const answer = only(
      readAnswers(await edge.exchange(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`)),
    );
    assert.equal(answer.status, 200);
  });
});

describe("the HTTP edge, 100-continue and early refusals", () => {
  const expecting = (length: number): string =>
    `PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;

  it("says 100 Continue when the body is read, not before", async () => {
    let readNow = (): void => undefined;
    const other = await testEdge(async (request) => {
      await new Promise<void>((resolve) => {
        readNow = resolve;
      });
      return echo(request);
    });
    const client = other.client();
    client.send(expecting(5));
    await sleep(100);
    assert.equal(client.received, "");
    readNow();
    await client.until((text) => text === "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello");
    await client.until((text) => text.includes("hello"));
    const answer = only(readAnswers(client.received));
    assert.equal(echoOf(answer).body, "hello");
    assert.equal(answer.field("Connection"), "keep-alive");
    await other.stop();
  });

  it("AccessDenied: a refusal goes out instead of the 100, and the connection closes", async () => {
    const other = await testEdge(async () => {
      throw refuse("AccessDenied");
    });
    const client = other.client();
    client.send(expecting(1_000_000_000));
    const received = await client.closed(2000);
    assert.match(received, /^HTTP\/1\.1 403 Forbidden\r\n/);
    const answer = only(readAnswers(received));
    assertRefusal(answer, "AccessDenied");
    assert.equal(answer.field("Connection"), "close");
    await other.stop();
  });

  it("EntityTooLarge: a body that announces too much is refused before the 100", async () => {
    const received = await edge.exchange(expecting(2 * 1024 ** 2));
    assertRefusal(only(readAnswers(received)), "EntityTooLarge");
  });

  it("EntityTooLarge: a chunked body that grows too much is refused while it comes", async () => {
    const client = edge.client();
    client.send(`PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n`);
    for (let n = 0; n < 40; n++) client.send(`10000\r\n${"x".repeat(65_536)}\r\n`);
    assertRefusal(only(readAnswers(await client.closed())), "EntityTooLarge");
  });

  async function refuser(limits: Parameters<typeof testEdge>[1]): Promise<[TestEdge, RawClient]> {
    const other = await testEdge(async () => {
      throw refuse("AccessDenied");
    }, limits);
    return [other, other.client()];
  }

  it("ends its own side after an early refusal and lets the client send on", async () => {
    const [other, client] = await refuser({});
    client.send(`PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 30000000\r\n\r\n`);
    await once(client.socket, "end");
    assertRefusal(only(readAnswers(client.received)), "AccessDenied");
    for (let n = 0; n < 30; n++) {
      await new Promise<void>((resolve) => {
        client.socket.write(Buffer.alloc(1_000_000), () => resolve());
      });
    }
    assert.equal(client.error, undefined);
    client.socket.end();
    await once(client.socket, "close");
    assert.equal(client.error, undefined);
    await other.stop();
  });

  it("cuts off a refused client that sends more than the bound", async () => {
    const [other, client] = await refuser({ limits: { discardBytesMax: 1_000_000 } });
    client.send(`PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 1000000000\r\n\r\n`);
    const flood = setInterval(() => client.socket.write(Buffer.alloc(100_000)), 5);
    await lost(client.socket);
    clearInterval(flood);
    assert.ok(client.socket.bytesWritten < 300_000_000);
    await other.stop();
  });

  it("cuts off a refused client that keeps sending for longer than the bound", async () => {
    const [other, client] = await refuser({ limits: { discardMs: 300 } });
    client.send(`PUT /a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 1000000000\r\n\r\n`);
    const began = performance.now();
    const drip = setInterval(() => client.send("a"), 10);
    await lost(client.socket);
    clearInterval(drip);
    assert.ok(performance.now() - began < 2000);
    await other.stop();
  });
});

describe("the HTTP edge, answers", () => {
  const get = (path: string, more = ""): string => `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\n${more}\r\n`;

  async function answered(answer: () => Answer, message = get("/", "Connection: close\r\n")): Promise<string> {
    const other = await testEdge(async () => answer());
    const received = await other.exchange(message);
    await other.stop();
    return received;
  }

  it("carries Server, Date and a request id of the real form, and no trace id, on success", async () => {
    const answer = only(readAnswers(await answered(() => ({ status: 200, headers: [["ETag", '"a"']], body: "b" }))));
    assert.deepEqual(
      answer.fields.map(([name]) => name),
      ["ETag", "Content-Length", "Connection", "Date", "Server", "x-cos-request-id"],
    );
    assert.ok(Math.abs(Date.parse(answer.field("Date") ?? "") - Date.now()) < 2000);
    assert.match(decoded(answer.field("x-cos-request-id")), REQUEST_ID);
  });

  it("sends no body and no length with 204 and 304", async () => {
    for (const status of [204, 304]) {
      const received = await answered(() => ({ status, headers: [] }));
      assert.match(received, /\r\n\r\n$/);
      assert.equal(only(readAnswers(received)).field("Content-Length"), undefined);
    }
  });

  it("answers HEAD with the length and no body, and gives the stream back", async () => {
    let asked = 0;
    let released = 0;
    const chunks: AsyncIterable<Buffer> = {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          asked += 1;
          return { done: false, value: Buffer.alloc(1) };
        },
        return: async () => {
          released += 1;
          return { done: true, value: undefined };
        },
      }),
    };
    const received = await answered(
      () => ({ status: 200, headers: [], body: { length: 12_345, chunks } }),
      `HEAD / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`,
    );
    const answer = only(readAnswers(received, [0]));
    assert.equal(answer.field("Content-Length"), "12345");
    assert.deepEqual([asked, released], [0, 1]);
  });

  it("never overwrites a chunk that is still being sent", async () => {
    // The engine reads into one buffer again and again, as pooled buffers do.
    const buffer = Buffer.alloc(300_000);
    const chunks = (async function* () {
      for (let n = 0; n < 50; n++) {
        buffer.fill(65 + (n % 26));
        yield buffer;
      }
    })();
    const received = await answered(() => ({ status: 200, headers: [], body: { length: 50 * 300_000, chunks } }));
    const { body } = only(readAnswers(received));
    const expected = Array.from({ length: 50 }, (_, n) => String.fromCharCode(65 + (n % 26)).repeat(300_000)).join("");
    assert.ok(body === expected);
  });

  it("InternalError: a stream that fails before its first byte is answered as a refusal", async () => {
    const chunks: AsyncIterable<Buffer> = {
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error("the disk is gone")) }),
    };
    const other = await testEdge(async () => ({ status: 200, headers: [], body: { length: 10, chunks } }));
    const received = await other.exchange(get("/", "Connection: close\r\n"));
    await other.stop();
    assertRefusal(only(readAnswers(received)), "InternalError");
    assert.equal(other.faults.length, 1);
  });

  it("cuts the connection when a stream fails, or ends early, after its first byte", async () => {
    for (const failing of [true, false]) {
      const chunks = (async function* () {
        yield Buffer.from("12345");
        if (failing) throw new Error("the disk is gone");
      })();
      const received = await answered(() => ({ status: 200, headers: [], body: { length: 10, chunks } }));
      assert.match(received, /\r\nContent-Length: 10\r\n/);
      assert.match(received, /\r\n\r\n12345$/);
    }
  });

  it("InternalError: an answer that cannot be written is no reason to hang", async () => {
    for (const field of [
      ["x-cos-meta-a", "b\r\nSet-Cookie: c"],
      ["x-cos-meta-a", "\u4e2d"],
      ["Content-Length", "5"],
    ] as const) {
      const received = await answered(() => ({ status: 200, headers: [field], body: "b" }));
      assertRefusal(only(readAnswers(received)), "InternalError");
      assert.doesNotMatch(received, /Set-Cookie/);
    }
  });

  it("begins a late document with the declaration, sends blanks, and then the rest of it", async () => {
    const declaration = "<?xml version='1.0' encoding='utf-8' ?>\n";
    let tell = (_text: string): void => undefined;
    const later = new Promise<string>((resolve) => {
      tell = resolve;
    });
    const other = await testEdge(async () => ({ status: 200, headers: [["Content-Type", "application/xml"]], later }), {
      limits: { blankEveryMs: 30 },
    });
    const client = other.client();
    client.send(get("/"));
    await client.until((text) => text.includes(declaration));
    await client.until((text) => text.split("1\r\n \r\n").length > 3);
    tell(`${declaration}<Done/>`);
    const received = await client.until((text) => text.endsWith("0\r\n\r\n"));
    const answer = only(readAnswers(received));
    assert.match(answer.body, /^<\?xml version='1\.0' encoding='utf-8' \?>\n {3,}<Done\/>$/);
    assert.equal(answer.field("Content-Length"), undefined);
    assert.equal(answer.field("Connection"), "keep-alive");
    await other.stop();
  });

  it("ends a late document for HTTP/1.0 with the connection, without chunks", async () => {
    const received = await answered(
      () => ({ status: 200, headers: [], later: sleep(20).then(() => "<Done/>") }),
      `GET / HTTP/1.0\r\nHost: ${HOST}\r\nTE: chunked\r\n\r\n`,
    );
    assert.match(received, /\r\n\r\n<\?xml version='1\.0' encoding='utf-8' \?>\n<Done\/>$/);
    assert.doesNotMatch(received, /Transfer-Encoding/);
  });
});

describe("the HTTP edge, stopping", () => {
  /** An edge with `/first` under way, which it answers at `proceed`, and with so many other connections open. */
  async function busyEdge(idleCount = 0) {
    const asked: string[] = [];
    let proceed = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      proceed = resolve;
    });
    const other = await testEdge(async ({ target }) => {
      asked.push(target.path);
      await held;
      return { status: 200, headers: [], body: "done" };
    });
    const client = other.client();
    const idle = Array.from({ length: idleCount }, () => other.client());
    client.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
    while (asked.length === 0) await sleep(5);
    return { asked, client, idle, other, proceed };
  }

  it("finishes the request under way, says close, and takes no more connections", async () => {
    const { client, idle, other, proceed } = await busyEdge(1);
    const stopped = other.edge.stop(5000);
    const late = connect(other.port, "127.0.0.1");
    const [refused] = (await once(late, "error")) as [NodeJS.ErrnoException];
    assert.equal(refused.code, "ECONNREFUSED");
    proceed();
    const answer = only(readAnswers(await client.closed()));
    assert.deepEqual([answer.status, answer.body, answer.field("Connection")], [200, "done", "close"]);
    // With the last request under way, connections without one are closed.
    assert.equal(await idle[0]?.closed(2000), "");
    await stopped;
    await other.stop();
  });

  it("ServiceUnavailable: what comes over other open connections meanwhile, which it closes", async () => {
    const { asked, client, idle, other, proceed } = await busyEdge(2);
    const [kept, uploading] = idle as [RawClient, RawClient];
    const stopped = other.edge.stop(5000);
    kept.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
    uploading.send(`PUT /third HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n${"x".repeat(200_000)}`);
    for (const late of [kept, uploading]) {
      const answer = only(readAnswers(await late.closed(3000)));
      assertRefusal(answer, "ServiceUnavailable");
      assert.equal(answer.field("Connection"), "close");
    }
    proceed();
    assert.equal(only(readAnswers(await client.closed())).status, 200);
    await stopped;
    assert.deepEqual(asked, ["/first"]);
    await other.stop();
  });

  it("does nothing of a request that follows on the same connection, whose answer would be lost", async () => {
    const { asked, client, other, proceed } = await busyEdge();
    const stopped = other.edge.stop(5000);
    client.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
    await sleep(50);
    proceed();
    assert.equal(readAnswers(await client.closed())[0]?.body, "done");
    await stopped;
    assert.deepEqual(asked, ["/first"]);
    await other.stop();
  });

  it("cuts what has not finished after the grace", async () => {
    const other = await testEdge(() => new Promise(() => undefined));
    const client = other.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await sleep(50);
    const began = performance.now();
    await other.edge.stop(100);
    assert.ok(performance.now() - began < 2000);
  });

  it("rejects with the system's reason when the port is taken", async () => {
    const { startEdge } = await import("../../src/http/server.ts");
    const { LIMITS } = await import("../../src/limits.ts");
    const { systemClock } = await import("../../src/engines/clock/system.ts");
    const { systemRandom } = await import("../../src/engines/random/system.ts");
    const log = { error: () => undefined, warn: () => undefined };
    const dialect = { writeError: () => ({ status: 500, headers: [] }) };
    const listen = { host: "127.0.0.1", port: edge.port };
    const second = startEdge({
      handler: echo,
      listen,
      clock: systemClock(),
      random: systemRandom(),
      limits: LIMITS,
      log,
      dialect,
    });
    await assert.rejects(second, { code: "EADDRINUSE" });
  });
});
