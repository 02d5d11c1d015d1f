/**
 * Pages on another origin in a real browser: the official `cos-js-sdk-v5`, unmodified, and what HTML itself can do. The
 * browser is the Chromium of the system; without one the tests are skipped, with the reason. `COSBOX_TEST_CHROMIUM` names
 * another one, `COSBOX_TEST_SCREENSHOT` a file for a picture of the page.
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, it } from "vitest";
import { signedFields } from "../fixtures/forms.ts";
import { type TestServer, testServer } from "../fixtures/server.ts";

const CHROMIUM = [process.env["COSBOX_TEST_CHROMIUM"] ?? "", "/usr/bin/chromium", "/usr/bin/google-chrome"].find(
  (path) => existsSync(path),
);
// biome-ignore format: a table of flags
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
];
const OWN_KEYS = { secretId: "AKIDbrowser0000000000000000000000000", secretKey: "browsersecretkey0000000000000000" };

describe("a page in a browser", () => {
  let browser: BrowserContext;
  let profile: string;
  let pages: Server;
  let origin: string;
  let server: TestServer;
  let developing: TestServer;

  beforeEach((context) => {
    if (CHROMIUM === undefined) context.skip("neither COSBOX_TEST_CHROMIUM nor /usr/bin/chromium is there");
  });

  beforeAll(async () => {
    if (CHROMIUM === undefined) return;
    const files = new Map([
      ["/page.html", ["text/html; charset=utf-8", await readFile(new URL("page.html", import.meta.url))] as const],
      [
        "/sdk.js",
        [
          "text/javascript",
          await readFile(createRequire(import.meta.url).resolve("cos-js-sdk-v5/dist/cos-js-sdk-v5.min.js")),
        ] as const,
      ],
    ]);
    pages = createServer((request, response) => {
      const [type, bytes] = files.get((request.url ?? "").replace(/\?.*$/, "")) ?? [];
      response.writeHead(bytes === undefined ? 404 : 200, type === undefined ? {} : { "Content-Type": type });
      response.end(bytes);
    });
    await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
    [server, developing] = await Promise.all([testServer(OWN_KEYS), testServer()]);
    profile = await mkdtemp(join(tmpdir(), "cosbox-browser-"));
    browser = await chromium.launchPersistentContext(profile, {
      executablePath: CHROMIUM,
      headless: true,
      args: FLAGS,
    });
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    await Promise.all([server?.stop(), developing?.stop()]);
    if (pages !== undefined) await new Promise((resolve) => pages.close(resolve));
    if (profile !== undefined) await rm(profile, { recursive: true });
  });

  const domainOf = (at: TestServer): string => `{Bucket}.cos.{Region}.localhost:${at.port}`;

  /** A page that knows the keys, and a bucket that admits its origin or does not. */
  async function open(at: TestServer, name: string, rule: boolean): Promise<{ page: Page; bucket: string }> {
    const bucket = at.cosbox.bucket(name);
    assert.equal((await at.send({ method: "PUT", bucket })).status, 200);
    if (rule) {
      const methods = ["GET", "PUT", "POST", "DELETE", "HEAD"].map(
        (method) => `<AllowedMethod>${method}</AllowedMethod>`,
      );
      const exposed = ["ETag", "x-cos-meta-color", "x-cos-request-id"].map(
        (one) => `<ExposeHeader>${one}</ExposeHeader>`,
      );
      const body = `<CORSConfiguration><CORSRule><AllowedOrigin>${origin}</AllowedOrigin>${methods.join("")}<AllowedHeader>*</AllowedHeader>${exposed.join("")}<MaxAgeSeconds>60</MaxAgeSeconds></CORSRule></CORSConfiguration>`;
      assert.equal((await at.send({ method: "PUT", bucket, query: { cors: undefined }, body })).status, 200);
    }
    const { secretId, secretKey } = at.cosbox.credentials;
    const settings = {
      Bucket: bucket,
      Region: at.cosbox.region,
      Domain: domainOf(at),
      SecretId: secretId,
      SecretKey: secretKey,
    };
    const page = await browser.newPage();
    await page.goto(`${origin}/page.html#${encodeURIComponent(JSON.stringify(settings))}`);
    return { page, bucket };
  }
  async function run(page: Page, name: string, ...given: readonly unknown[]): Promise<Record<string, unknown>> {
    const call = `run(${[name, ...given].map((one) => JSON.stringify(one)).join(", ")})`;
    return JSON.parse((await page.evaluate(call)) as string) as Record<string, unknown>;
  }
  const keysOf = async (at: TestServer, bucket: string): Promise<string[]> =>
    (await at.send({ bucket })).elements("Key");

  /** Everything that a page does, for either kind of keys. */
  async function everything(at: TestServer, name: string): Promise<void> {
    const { page, bucket } = await open(at, name, true);
    assert.deepEqual(await run(page, "simple"), {
      statusCode: 200,
      ETag: '"553b0760610ac3f1a18477928fd98c45"',
      text: "hello, COS",
      meta: "blue",
      type: "text/plain",
    });
    const sliced = await run(page, "sliced");
    assert.deepEqual([sliced["size"], sliced["same"], sliced["progress"]], [5 * 1024 * 1024 + 4, true, 1]);
    assert.match(String(sliced["ETag"]), /^"[0-9a-f]{32}-6"$/);
    assert.deepEqual(await run(page, "lists"), { keys: ["list/a"], prefixes: ["list/b/"], deleted: 2, left: 0 });
    assert.deepEqual(await run(page, "link"), { status: 200, text: "by link", exposed: true });

    const signed = signedFields({
      ...at.cosbox.credentials,
      conditions: [{ bucket }, ["starts-with", "$key", "forms/"], ["content-length-range", 1, 1000]],
    });
    const fields = (key: string, ...more: [string, string][]) => [["key", key], ...more, ...signed];
    const form = await run(page, "form", fields("forms/${filename}", ["success_action_status", "201"]));
    assert.deepEqual([form["status"], form["key"]], [201, "forms/报告.txt"]);
    assert.equal((await at.send({ bucket, path: "/forms/报告.txt" })).text, "from a form");
    assert.equal((await run(page, "form", fields("elsewhere")))["status"], 403, "the page reads the refusal");
    const back = `${origin}/page.html`;
    const led = await run(page, "element", fields("forms/element", ["success_action_redirect", back]));
    assert.deepEqual([led["bucket"], led["key"]], [bucket, "forms/element"], JSON.stringify(led));
    assert.equal((await at.send({ bucket, path: "/forms/element" })).text, "from an element");

    const picture = process.env["COSBOX_TEST_SCREENSHOT"];
    if (picture !== undefined) await page.screenshot({ path: picture, fullPage: true });
    assert.deepEqual(await keysOf(at, bucket), [
      "dir/报告 (v1).txt",
      "forms/element",
      "forms/报告.txt",
      "large",
      "link",
    ]);
    await page.close();
  }

  it("uploads whole and in slices, lists, deletes, downloads and sends forms, where a CORS rule admits it", async () => {
    await everything(server, "admitted");
  }, 60_000);

  it("does the same with the published development keys", async () => {
    await everything(developing, "admitted");
  }, 60_000);

  it("is refused by the browser and does nothing without a rule", async () => {
    for (const at of [server, developing]) {
      const { page, bucket } = await open(at, "closed", false);
      for (const name of ["simple", "sliced", "lists", "link"]) {
        const answer = await run(page, name);
        assert.match(
          String(answer["refused"]),
          /CORS|network|NetworkError|Failed to fetch/i,
          `${name} ${JSON.stringify(answer)}`,
        );
      }
      assert.deepEqual(await keysOf(at, bucket), []);
      await page.close();
    }
  }, 60_000);

  it("cannot write to a public bucket of a server in development, not even by a form that needs no preflight", async () => {
    const { page, bucket } = await open(developing, "public", false);
    await developing.send({
      method: "PUT",
      bucket,
      query: { acl: undefined },
      headers: { "x-cos-acl": "public-read-write" },
    });
    for (const [name, ...given] of [
      ["form", [["key", "k"]]],
      ["raw", "PUT", "/k"],
    ] as [string, ...unknown[]][]) {
      assert.match(String((await run(page, name, ...given))["refused"]), /Failed to fetch/);
    }
    assert.deepEqual(await keysOf(developing, bucket), []);
    await page.close();
  });

  it("shows pictures of a bucket as its referer rules say", async () => {
    const { page, bucket } = await open(server, "pictures", false);
    await server.send({ method: "PUT", bucket, query: { acl: undefined }, headers: { "x-cos-acl": "public-read" } });
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>';
    await server.send({
      method: "PUT",
      bucket,
      path: "/p.svg",
      body: svg,
      headers: { "content-type": "image/svg+xml" },
    });
    const host = domainOf(server).replace("{Bucket}", bucket).replace("{Region}", server.cosbox.region);
    let serial = 0;
    // Another address each time, so that the browser has it from nowhere else.
    const shown = async (): Promise<unknown> =>
      (await run(page, "picture", `http://${host}/p.svg?n=${serial++}`))["shown"];
    assert.equal(await shown(), true, "without rules");
    for (const [type, domain, expected] of [
      ["White-List", "127.0.0.1", true],
      ["White-List", "*.page.example", false],
      ["Black-List", "127.0.0.1", false],
      ["Black-List", "*.page.example", true],
    ] as const) {
      const body = `<RefererConfiguration><Status>Enabled</Status><RefererType>${type}</RefererType><DomainList><Domain>${domain}</Domain></DomainList></RefererConfiguration>`;
      assert.equal((await server.send({ method: "PUT", bucket, query: { referer: undefined }, body })).status, 200);
      assert.equal(await shown(), expected, `${type} ${domain}`);
    }
    await page.close();
  });
});
