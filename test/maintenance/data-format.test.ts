import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { describe, it } from "vitest";
import { lmdbMetadata } from "../../src/engines/metadata/lmdb.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import { formatKey } from "../../src/store/keys.ts";
import { encodeFormat } from "../../src/store/records.ts";
import { DATA_FORMAT } from "../../src/store/store.ts";
import { freshFolder } from "../contract/store-fixture.ts";
import { run } from "../fixtures/command.ts";
import { contentsOf } from "../fixtures/contents.ts";
import { serverOn, sha256 } from "../fixtures/data-folder.ts";

const TIMEOUT_MS = 60_000;
const FIXTURES = path.resolve(import.meta.dirname, "../fixtures");

interface Expected {
  readonly contents: Awaited<ReturnType<typeof contentsOf>>;
  /** The upload of the key `open`, which has two parts. */
  readonly uploadId: string;
}

/** The folder that a version with this format wrote, byte for byte; scripts/make-data-format.ts packed it. */
async function copyOf(format: string): Promise<{ folder: string; data: string; expected: Expected }> {
  const folder = await freshFolder();
  const data = path.join(folder, "data");
  const packed = gunzipSync(readFileSync(path.join(FIXTURES, format, "data.json.gz"))).toString();
  for (const [name, bytes] of Object.entries(JSON.parse(packed) as Record<string, string>)) {
    const file = path.join(data, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, Buffer.from(bytes, "base64"));
  }
  const expected = JSON.parse(readFileSync(path.join(FIXTURES, format, "expected.json"), "utf8")) as Expected;
  return { folder, data, expected };
}

const FORMATS = readdirSync(FIXTURES).filter((name) => name.startsWith("data-format-"));

describe.each(FORMATS)("a folder that an earlier version wrote (%s)", { timeout: TIMEOUT_MS }, (format) => {
  it("is whole, and shows what its dead process left half done", async () => {
    const { folder } = await copyOf(format);
    const { code, stdout } = await run(["fsck", "--data", "data", "--verbose"], folder);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^damage: none$/m);
    for (const kind of ["garbage", "unfinished", "blob-unreferenced"]) {
      assert.match(stdout, new RegExp(`^leftover: ${kind}: `, "m"));
    }
    const scrubbed = await run(["scrub", "--data", "data"], folder);
    assert.match(scrubbed.stdout, /^damage: none$/m);
  });

  it("is served as it was, with what was half done undone", async () => {
    const { folder, data, expected } = await copyOf(format);
    const server = await serverOn(data, false);
    assert.ok(Object.keys(expected.contents).length >= 14);
    assert.deepEqual(await contentsOf(server), expected.contents);

    const uploads = await server.send({ query: { uploads: undefined } });
    assert.deepEqual(uploads.elements("Key"), ["begun", "open"], "an aborted one is gone");
    const { uploadId } = expected;
    const parts = await server.send({ path: "/open", query: { uploadId } });
    assert.deepEqual(parts.elements("PartNumber"), ["1", "2"]);
    const listed = parts
      .elements("ETag")
      .map((etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag}</ETag></Part>`);
    const body = `<CompleteMultipartUpload>${listed.join("")}</CompleteMultipartUpload>`;
    const completed = await server.send({ method: "POST", path: "/open", query: { uploadId }, body });
    assert.equal(completed.status, 200, completed.text);
    const opened = await server.send({ path: "/open" });
    assert.deepEqual(
      [opened.body.length, opened.headers["content-type"], opened.headers["x-cos-meta-open"]],
      [450, "video/odd", "yes"],
    );

    const service = await server.send({ bucket: "" });
    assert.deepEqual(service.elements("Name"), ["demo-1250000000", "public-1250000000"]);
    const anonymous = { method: "PUT", bucket: "public-1250000000", path: "/x", body: "x" };
    assert.equal((await server.send({ ...anonymous, sign: false })).status, 403);
    assert.equal((await server.send(anonymous)).status, 200, "a deletion that its process never ended is undone");
    // What was left is collected within moments of a start.
    let told = "";
    for (let look = 0; look < 20 && !/^leftovers: none$/m.test(told); look++) {
      await sleep(200);
      told = (await run(["fsck", "--data", "data"], folder)).stdout;
    }
    assert.match(told, /^damage: none\nleftovers: none$/m);
  });
});

describe("a folder from a newer version", { timeout: TIMEOUT_MS }, () => {
  it("is refused by every command in one line, and left as it is", async () => {
    const { folder, data } = await copyOf(`data-format-${DATA_FORMAT}`);
    const metadata = await lmdbMetadata({ folder: path.join(data, "metadata"), random: systemRandom() });
    const value = Buffer.concat([encodeFormat({ format: DATA_FORMAT + 1, createdMs: 1 }), Buffer.from("and more")]);
    await metadata.commit([], [{ key: formatKey(), value }]);
    await metadata.close();
    const file = path.join(data, "metadata", "data.mdb");
    const before = sha256(readFileSync(file));

    const at = ["--data", "data"];
    const commands = [
      ["serve", "--listen", "127.0.0.1:0", ...at],
      ["fsck", ...at],
      ["fsck", "--repair", ...at],
      ["scrub", ...at],
      ["export", "demo-1250000000", "out", ...at],
      ["import", ".", "demo-1250000000", ...at],
      ["backup", "copy", ...at],
    ];
    for (const args of commands) {
      const { code, stdout, stderr } = await run(args, folder);
      assert.deepEqual([code, stdout], [1, ""], args.join(" "));
      assert.equal(
        stderr,
        `cosbox: the data is in format ${DATA_FORMAT + 1}, and this version of cosbox knows formats up to ${DATA_FORMAT}: ` +
          "start the version that wrote it, or a later one, or choose another data folder\n",
        args.join(" "),
      );
    }
    assert.equal(sha256(readFileSync(file)), before);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name !== "data"),
      [],
    );
  });
});
