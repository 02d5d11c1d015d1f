/** Who owns an object: whoever owns its bucket, whichever way and by whomever it was uploaded. (ACL overview) */

import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { rootCredential } from "../../src/access/caller.ts";
import { signCos } from "../../src/dialects/cos/sign.ts";
import { memoryDisk, openOn } from "../contract/store-fixture.ts";
import { STRANGER } from "../fixtures/accounts.ts";
import { type Asked, inProcess, type Told } from "../fixtures/in-process.ts";
import { md5, partList } from "../fixtures/uploads.ts";

const OWNER_OF_BUCKET = "100000000001";
const BODY = "hello world";

/** Sends a request to a bucket that lets everyone write, and asserts that it succeeds. */
type Send = (asked: Asked) => Promise<Told>;

/** Ways to make an object `key`. */
const WAYS: readonly (readonly [name: string, upload: (send: Send) => Promise<unknown>])[] = [
  ["PUT", (send) => send({ method: "PUT", target: "/key", body: BODY })],
  ["APPEND", (send) => send({ method: "POST", target: "/key?append&position=0", body: BODY })],
  [
    "a copy",
    (send) => {
      const source = "demo-1250000000.cos.ap-guangzhou.myqcloud.com/source";
      return send({ method: "PUT", target: "/key", headers: { "x-cos-copy-source": source } });
    },
  ],
  [
    "parts",
    async (send) => {
      const { text } = await send({ method: "POST", target: "/key?uploads" });
      const uploadId = /<UploadId>([^<]*)/.exec(text)?.[1] ?? "";
      await send({ method: "PUT", target: `/key?partNumber=1&uploadId=${uploadId}`, body: BODY });
      await send({ method: "POST", target: `/key?uploadId=${uploadId}`, body: partList([[1, md5(BODY)]]) });
    },
  ],
];

/** The server of one test, with an object to copy. */
async function fixture() {
  const store = await openOn(await memoryDisk().open());
  const server = await inProcess(store, {}, [rootCredential(STRANGER)]);
  const send = async (asked: Asked): Promise<Told> => {
    const told = await server.ask(asked);
    assert.equal(told.code, "ok", told.text);
    return told;
  };
  await send({ method: "PUT", target: "/source", body: BODY });
  return { store, server, send };
}

const signedBy = (account: typeof STRANGER, send: Send): Send => {
  const now = Math.floor(Date.now() / 1000);
  const signTime = `${now - 60};${now + 600}`;
  return (asked) => {
    const path = asked.target.replace(/\?.*/, "");
    const { authorization } = signCos({ ...account, method: asked.method, path, signTime });
    return send({ ...asked, headers: { ...asked.headers, authorization } });
  };
};

describe("the owner of an object", () => {
  for (const [way, upload] of WAYS) {
    it(`is the owner of the bucket, whoever uploads it, by ${way}`, async () => {
      const { store, server, send } = await fixture();
      await upload(signedBy(STRANGER, send));
      const found = await store.objects.find(server.bucketId, "key");
      assert.equal(found?.record.ownerUin, OWNER_OF_BUCKET);
    });

    it(`is the bucket's where nobody known uploads it, by ${way}`, async () => {
      const { store, server, send } = await fixture();
      await upload(send);
      const found = await store.objects.find(server.bucketId, "key");
      assert.equal(found?.record.ownerUin, OWNER_OF_BUCKET);
    });
  }
});
