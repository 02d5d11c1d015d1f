/** The commands that speak to a running server, and the server of several processes that they speak to. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import COS from "cos-nodejs-sdk-v5";
import { afterAll, beforeAll, describe, it } from "vitest";
import { adminClient } from "../../src/admin/client.ts";
import { DEVELOPMENT_SECRET_ID, DEVELOPMENT_SECRET_KEY } from "../../src/config/settings.ts";
import { signCos } from "../../src/dialects/cos/sign.ts";
import { told } from "../fixtures/command.ts";
import { allow } from "../fixtures/people.ts";
import type { KeyPair } from "../fixtures/server.ts";
import { callSts, pairIn, type TemporaryPair } from "../fixtures/sts.ts";

const MAIN = join(import.meta.dirname, "../../src/cli/main.ts");
/** A permanent pair, or a temporary one with its token. */
type Keys = KeyPair | TemporaryPair;
const DEVELOPMENT_KEYS: Keys = { secretId: DEVELOPMENT_SECRET_ID, secretKey: DEVELOPMENT_SECRET_KEY };
const BUCKET_HOST = "demo-1250000000.cos.ap-guangzhou.myqcloud.com";

describe("commands for a server of two processes", () => {
  const folder = mkdtempSync(join(tmpdir(), "cosbox-control-"));
  // The key that seals secrets lies beside it.
  const data = join(folder, "data");
  let server: ChildProcess;
  let endpoint = "";
  let admin = "";
  beforeAll(async () => {
    const flags = ["--data", data, "--listen", "127.0.0.1:0", "--workers", "2", "--limit", "keyUploadsMax=1"];
    server = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), MAIN, ...flags], {
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    while (!/Stop with/.test(text)) text += String((await once(server.stdout as NodeJS.ReadableStream, "data"))[0]);
    endpoint = /listens on (\S+)/.exec(text)?.[1] ?? "";
    admin = /Admin +http:\/\/(\S+)/.exec(text)?.[1] ?? "";
  });
  afterAll(async () => {
    server.kill("SIGTERM");
    await once(server, "exit");
    rmSync(folder, { recursive: true, force: true });
  });

  /** Each request over a connection of its own, so that both processes get some. */
  async function send(method: string, path: string, body = "", keys = DEVELOPMENT_KEYS): Promise<Response> {
    const now = Math.floor(Date.now() / 1000);
    const { authorization } = signCos({
      method,
      path,
      headers: [["host", BUCKET_HOST]],
      ...keys,
      signTime: `${now - 10};${now + 600}`,
    });
    return new Promise((resolve, reject) => {
      const token = "token" in keys ? { "x-cos-security-token": keys.token } : {};
      const headers = {
        ...token,
        Host: BUCKET_HOST,
        Authorization: authorization,
        "Content-Length": body.length,
      };
      const sent = request(`${endpoint}${path}`, { method, headers, agent: false }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("end", () => {
          const fields = Object.entries(answer.headers).map(([name, value]): [string, string] => [name, String(value)]);
          const { statusCode = 0 } = answer;
          const bodiless = statusCode === 204 || statusCode === 304;
          resolve(new Response(bodiless ? null : Buffer.concat(chunks), { status: statusCode, headers: fields }));
        });
      });
      sent.on("error", reject);
      sent.end(body);
    });
  }

  function signedPut(path: string): string {
    const now = Math.floor(Date.now() / 1000);
    return signCos({
      method: "PUT",
      path,
      headers: [["host", BUCKET_HOST]],
      secretId: DEVELOPMENT_SECRET_ID,
      secretKey: DEVELOPMENT_SECRET_KEY,
      signTime: `${now - 10};${now + 600}`,
    }).authorization;
  }

  it("counts a fault once over both processes", async () => {
    assert.equal((await send("PUT", "/")).status, 200);
    const fault = '{"id":"three","error":"SlowDown","times":{"first":3},"match":{"operation":"PutObject"}}';
    assert.equal((await told("faults", "add", fault, "--admin", admin)).stdout, "three\n");
    const statuses: number[] = [];
    for (let at = 0; at < 12; at++) statuses.push((await send("PUT", `/${at}`, "x")).status);
    assert.deepEqual(statuses, [503, 503, 503, ...Array<number>(9).fill(200)]);
    assert.match((await told("faults", "--admin", admin)).stdout, /"met":12/);
    assert.equal((await told("faults", "clear", "--admin", admin)).code, 0);
  });

  it("makes, disables and removes keys in both processes before it answers, their temporary ones along with them", async () => {
    const client = adminClient({ endpoint: `http://${admin}` });
    const uin = "100000000001";
    const statuses = async (keys: Keys): Promise<number[]> => {
      const seen: number[] = [];
      for (let at = 0; at < 8; at++) seen.push((await send("HEAD", "/5", "", keys)).status);
      return seen;
    };
    const every = (status: number): number[] => Array<number>(8).fill(status);

    await client.putOwned(uin, "policies", "all", { document: allow("*") });
    await client.putOwned(uin, "users", "100000000011", { policies: ["all"] });
    const { secretId, secretKey } = await client.createKey(uin, "100000000011");
    const pair = { secretId, secretKey };
    assert.deepEqual(await statuses(pair), every(200));
    const port = Number(new URL(endpoint).port);
    const parameters = { Name: "two", Policy: JSON.stringify(allow("name/cos:HeadObject")) };
    const temporary = pairIn(
      await callSts({ port, cosbox: { credentials: { ...pair, uin, appid: "" } } }, { parameters }),
    );
    assert.deepEqual(await statuses(temporary), every(200));
    await client.setKey(secretId, false);
    assert.deepEqual(await statuses(pair), every(403));
    assert.deepEqual(await statuses(temporary), every(403));
    await client.setKey(secretId, true);
    assert.deepEqual(await statuses(pair), every(200));
    await client.putOwned(uin, "users", "100000000011", { policies: [] });
    assert.deepEqual(await statuses(temporary), every(403));
    await client.removeKey(secretId);
    assert.deepEqual(await statuses(pair), every(403));
    await client.removeOwned(uin, "users", "100000000011");
    await client.removeOwned(uin, "policies", "all");
  });

  it("suspends an account in both processes before it answers", async () => {
    const state = (name: string) => `{"account":"100000000001","state":"${name}"}`;
    assert.equal((await told("states", "set", state("suspended"), "--admin", admin)).code, 0);
    for (let at = 0; at < 6; at++) assert.equal((await send("HEAD", "/5")).status, 451);
    assert.match(
      (await told("states", "--admin", admin)).stdout,
      /^{"account":"100000000001","state":"suspended","since":/,
    );
    assert.equal((await told("states", "set", state("active"), "--admin", admin)).code, 0);
    for (let at = 0; at < 6; at++) assert.equal((await send("HEAD", "/5")).status, 200);
    assert.match((await told("states", "set", state("lost"), "--admin", admin)).stderr, /account with one of arrears/);
  });

  it("counts requests against one rate over both processes", async () => {
    const rate = '[{"id":"few","per":"bucket","operations":["HeadBucket"],"perSecond":0.001,"burst":5}]';
    assert.match((await told("rates", "set", rate, "--admin", admin)).stdout, /"id":"few"/);
    const statuses: number[] = [];
    for (let at = 0; at < 12; at++) statuses.push((await send("HEAD", "/")).status);
    assert.deepEqual(statuses, [...Array<number>(5).fill(200), ...Array<number>(7).fill(503)]);
    assert.match((await told("rates", "--admin", admin)).stdout, /"perSecond":0.001/);
    assert.match((await told("rates", "set", "service", "--admin", admin)).stdout, /"id":"buckets"/);
    assert.equal((await told("rates", "reset", "--admin", admin)).stdout, "");
    for (let at = 0; at < 4; at++) assert.equal((await send("HEAD", "/")).status, 200);
    assert.match((await told("rates", "set", "[", "--admin", admin)).stderr, /expected service, or JSON/);
    assert.match((await told("rates", "set", '[{"per":"key"}]', "--admin", admin)).stderr, /bucket, account or server/);
  });

  it("UploadConflict: an upload of a key that the other process has under way", async () => {
    const held = request(`${endpoint}/held`, {
      method: "PUT",
      agent: false,
      headers: {
        Host: BUCKET_HOST,
        Authorization: signedPut("/held"),
        "Content-Length": 1,
        Expect: "100-continue",
      },
    });
    const answered = once(held, "response");
    held.flushHeaders();
    await once(held, "continue");
    for (let at = 0; at < 6; at++) assert.equal((await send("PUT", "/held", "x")).status, 409);
    held.end("x");
    assert.equal(((await answered)[0] as { statusCode: number }).statusCode, 200);
    for (let at = 0; at < 6; at++) assert.equal((await send("PUT", "/held", "x")).status, 200);
  });

  it("moves the clock in both processes before it answers", async () => {
    const advanced = await told("clock", "advance", "30d", "--admin", admin);
    assert.match(advanced.stdout, /2592000 s ahead of the machine's/);
    for (let at = 0; at < 12; at++) {
      const head = await send("HEAD", "/5");
      assert.equal(head.status, 200);
      assert.ok(Date.parse(head.headers.get("date") ?? "") > Date.now() + 29 * 86_400_000);
    }
    assert.match((await told("clock", "real", "--admin", admin)).stdout, /the machine's time/);
  });

  it("shows and finds the requests of both, whichever is asked", async () => {
    const client = adminClient({ endpoint: `http://${admin}` });
    const ended = new AbortController();
    const followed = new Set<string>();
    const following = (async () => {
      for await (const { key } of client.follow(ended.signal)) followed.add(key ?? "");
    })().catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const ids: string[] = [];
    for (let at = 0; at < 8; at++) ids.push((await send("GET", `/seen-${at}`)).headers.get("x-cos-request-id") ?? "");
    for (const id of ids) assert.match((await client.request(id)).explanation, /404 NoSuchKey/);
    const listed = (await client.requests({ error: "NoSuchKey" })).map(({ requestId }) => requestId);
    assert.deepEqual(
      ids.filter((id) => !listed.includes(id)),
      [],
    );
    while (followed.size < 8) await new Promise((resolve) => setTimeout(resolve, 20));
    ended.abort();
    await following;
    assert.match(
      (await told("requests", "--admin", admin)).stdout,
      /404 {2}GetObject {2}demo-1250000000\/seen-7 {2}NoSuchKey/,
    );
  });

  it("watches for a request, and tells what its client has to set", async () => {
    const watching = told("doctor", "--admin", admin, "--listen", endpoint.replace("http://", ""));
    await new Promise((resolve) => setTimeout(resolve, 800));
    const Proxy = endpoint;
    const wrong = { SecretId: DEVELOPMENT_SECRET_ID, SecretKey: "cosboxdevelopmentsecretkey000001" };
    const cos = new COS({ ...wrong, Protocol: "http:", Proxy });
    const Region = "ap-guangzhou";
    await assert.rejects(cos.headObject({ Bucket: "demo-1250000000", Region, Key: "a" }));
    const { stdout } = await watching;
    for (const line of [
      /^Client: cos-nodejs-sdk-v5 \d/m,
      /It was refused with 403 SignatureDoesNotMatch\./,
      /The likeliest reason left is another SecretKey|What to do/,
      /Settings that work:\n {2}Node\.js, cos-nodejs-sdk-v5\n {4}const cos = new COS/,
      /Proxy: "http:\/\/127\.0\.0\.1:\d+"/,
      /curl -x http:\/\/127\.0\.0\.1:\d+ -I -H/,
      /await cos\.request\(\{"Method":"HEAD","Bucket":"demo-1250000000"/,
    ]) {
      assert.match(stdout, line);
    }
  });

  it("says in a line what is wrong", async () => {
    for (const [argv, line] of [
      [["clock", "advance"], /clock advance: say by how much/],
      [["clock", "wind"], /expected advance, set, freeze or real/],
      [["clock", "advance", "soon"], /expected a duration/],
      [["faults", "add", "{"], /expected JSON such as/],
      [["faults", "add", '{"error":"Nothing"}'], /the id of a row of the catalogue/],
      [["faults", "remove", "none"], /there is no fault with this id/],
    ] as const) {
      const { code, stderr } = await told(...argv, "--admin", admin);
      assert.equal(code, 1, stderr);
      assert.match(stderr, line);
      assert.equal(stderr.trim().split("\n").length, 1);
    }
    for (const [at, line] of [
      ["127.0.0.1:1", /nobody answers at http:\/\/127\.0\.0\.1:1/],
      ["nobody.invalid:80", /nobody answers at http:\/\/nobody\.invalid:80/],
      // The server itself, which is a likely mistake.
      [endpoint.slice("http://".length), /is no admin listener of cosbox/],
    ] as const) {
      const { stderr } = await told("clock", "--admin", at);
      assert.match(stderr, line);
      assert.equal(stderr.trim().split("\n").length, 1);
    }
    assert.match((await told("clock", "--admin", "off")).stderr, /admin: it is off/);
  });
});
