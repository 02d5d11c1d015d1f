/**
 * Requests to the STS of every shape, damaged at every place: each is answered in its own form, with one of its codes and
 * never with a fault of ours; and no damaged one is given a key.
 */

import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { describe, it } from "vitest";
import { allow } from "../fixtures/people.ts";
import { testServer } from "../fixtures/server.ts";
import { callSts, type StsCall } from "../fixtures/sts.ts";
import { chanceOf, damaged, runsOf, SEED, timeoutOf } from "./chance.ts";

const RUNS = runsOf(400);

/** Sends a body as it is; the status and what stands in the answer. */
function post(port: number, headers: Record<string, string>, body: Buffer): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const all = { host: `127.0.0.1:${port}`, "content-length": body.length, ...headers };
    const sent = httpRequest({ host: "127.0.0.1", port, method: "POST", path: "/", headers: all, agent: false });
    sent.on("error", reject);
    sent.on("response", (incoming) => {
      let text = "";
      incoming.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, text }));
    });
    sent.end(body);
  });
}

describe("fuzzed requests to the STS", () => {
  it(
    "are answered in its own form, and never with a key or a fault of ours",
    async () => {
      const chance = chanceOf("fuzzed requests to the STS", RUNS);
      const server = await testServer();
      const now = Math.floor(Date.now() / 1000);
      const policy = encodeURIComponent(encodeURIComponent(JSON.stringify(allow("*"))));
      const id = server.cosbox.credentials.secretId;
      const bodies = [
        `Action=GetFederationToken&Name=x&Nonce=1&Policy=${policy}&SecretId=${id}&Timestamp=${now}&Version=2018-08-13&Signature=abc%3D`,
        `Action=AssumeRole&RoleArn=qcs%3A%3Acam%3A%3Auin%2F1%3AroleName%2Fx&RoleSessionName=xx&SecretId=${id}&Timestamp=${now}&Nonce=1&Version=2018-08-13&Signature=YQ`,
        JSON.stringify({ Name: "x", Policy: JSON.stringify(allow("*")), DurationSeconds: 60 }),
        JSON.stringify({ __proto__: 1, constructor: { a: [1] }, Name: null, Policy: {} }),
        "",
      ];
      const form = { "content-type": "application/x-www-form-urlencoded" };
      const tc3 = (credential: string): Record<string, string> => ({
        ...{ "content-type": "application/json", "x-tc-action": "GetFederationToken", "x-tc-version": "2018-08-13" },
        "x-tc-timestamp": String(now),
        authorization: `TC3-HMAC-SHA256 Credential=${credential}, SignedHeaders=content-type;host, Signature=${"0".repeat(64)}`,
      });
      const day = new Date().toISOString().slice(0, 10);
      const kinds = [form, tc3(`${id}/${day}/sts/tc3_request`), tc3(`${id}/1970-01-01/sts/tc3_request`), tc3("x")];
      for (let run = 0; run < RUNS; run++) {
        const body = Buffer.from(chance.pick(bodies));
        const bytes = chance.once(4) ? body : damaged(body, chance);
        const { status, text } = await post(server.port, chance.pick(kinds), bytes);
        const what = `SEED=${SEED}: ${JSON.stringify(bytes.toString("latin1"))} ${text}`;
        assert.equal(status, 200, what);
        const { Response: response } = JSON.parse(text) as {
          Response: { Error?: { Code: string }; Credentials?: object };
        };
        assert.ok(response.Credentials === undefined && response.Error !== undefined, what);
        assert.match(response.Error.Code, /^(?!InternalError)[A-Z][A-Za-z.]+$/, what);
      }
      await server.stop();
    },
    timeoutOf(RUNS),
  );

  it(
    "are refused when any byte of what was signed is another",
    async () => {
      const chance = chanceOf("changed requests to the STS", RUNS);
      const server = await testServer();
      const parameters = { Name: "x", Policy: JSON.stringify(allow("*")) };
      assert.equal((await callSts(server, { parameters })).code, undefined);
      for (let run = 0; run < RUNS / 4; run++) {
        const alter: StsCall["alter"] = (all) => {
          const name = chance.pick(Object.keys(all).filter((one) => one !== "Signature"));
          const text = String(all[name]);
          const at = chance.below(text.length);
          all[name] =
            text.slice(0, at) + String.fromCodePoint(text.charCodeAt(at) ^ (1 << chance.below(5))) + text.slice(at + 1);
        };
        const { code, response } = await callSts(server, { parameters, alter });
        assert.ok(code !== undefined && code !== "InternalError", `SEED=${SEED}: ${JSON.stringify(response)}`);
      }
      await server.stop();
    },
    timeoutOf(RUNS),
  );
});
