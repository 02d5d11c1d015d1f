import assert from "node:assert/strict";
import { beforeEach, describe, it, vi } from "vitest";
import {
  DAY_MS,
  elementOf,
  HOUR_MS,
  refusal,
  refusalOf,
  type TimedServer,
  timedServer,
} from "../fixtures/timed-server.ts";
import { md5, partList } from "../fixtures/uploads.ts";

/** 10:00 of a day in GMT+8. */
const START = Date.UTC(2026, 2, 1, 2);
const BIG = Buffer.alloc(64 * 1024, "b");
const HOST = "demo-1250000000.cos.ap-guangzhou.myqcloud.com";

const restoreBody = (days: number, tier?: string): string =>
  `<RestoreRequest><Days>${days}</Days>${tier === undefined ? "" : `<CASJobParameters><Tier>${tier}</Tier></CASJobParameters>`}</RestoreRequest>`;
const tieringBody = (days: number): string =>
  `<IntelligentTieringConfiguration><Status>Enabled</Status><Transition><Days>${days}</Days><RequestFrequent>1</RequestFrequent></Transition></IntelligentTieringConfiguration>`;

describe("storage classes", () => {
  let server: TimedServer;
  beforeEach(async () => {
    server = await timedServer(START);
  });

  const put = (key: string, storageClass: string, body: string | Buffer = "bytes") =>
    server.send({ method: "PUT", target: `/${key}`, body, headers: { "x-cos-storage-class": storageClass } });
  const head = (key: string) => server.done({ method: "HEAD", target: `/${key}` });
  const get = (key: string, headers: Record<string, string> = {}) =>
    server.send({ method: "GET", target: `/${key}`, headers });
  const copy = (key: string, source: string, headers: Record<string, string> = {}) =>
    server.send({
      method: "PUT",
      target: `/${key}`,
      headers: { "x-cos-copy-source": `${HOST}/${source}`, ...headers },
    });
  const restore = (key: string, body: string) => server.send({ method: "POST", target: `/${key}?restore`, body });
  const enableTiering = (days = 30) =>
    server.done({ method: "PUT", target: "/?intelligenttiering", body: tieringBody(days) });
  const classOf = async (key: string) => (await head(key)).headers.get("x-cos-storage-class");

  it.each(["STANDARD_IA", "ARCHIVE", "DEEP_ARCHIVE", "standard_ia"])(
    "%s: of a PUT, told by every answer",
    async (name) => {
      const told = name.toUpperCase();
      assert.equal((await put("k", name)).headers.get("x-cos-storage-class"), told);
      assert.equal(await classOf("k"), told);
      assert.equal(elementOf(await server.done({ method: "GET", target: "/" }), "StorageClass"), told);
      assert.equal(elementOf(await server.done({ method: "GET", target: "/?versions" }), "StorageClass"), told);
    },
  );

  it("are those of an upload in parts, and of an object that grows", async () => {
    const headers = { "x-cos-storage-class": "STANDARD_IA" };
    const begun = await server.done({ method: "POST", target: "/parts?uploads", headers });
    const uploadId = elementOf(begun, "UploadId");
    assert.equal(elementOf(await server.done({ method: "GET", target: "/?uploads" }), "StorageClass"), "STANDARD_IA");
    await server.done({ method: "PUT", target: `/parts?partNumber=1&uploadId=${uploadId}`, body: "x" });
    const body = partList([[1, md5("x")]]);
    await server.done({ method: "POST", target: `/parts?uploadId=${uploadId}`, body });
    assert.equal(await classOf("parts"), "STANDARD_IA");
    await server.done({ method: "POST", target: "/log?append&position=0", body: "x", headers });
    assert.equal(await classOf("log"), "STANDARD_IA");
  });

  it("are not inherited by a copy, and a copy onto itself may change nothing else", async () => {
    await put("k", "STANDARD_IA");
    const before = await head("k");
    assert.deepEqual(
      refusalOf(await copy("k", "k", { "x-cos-storage-class": "STANDARD_IA" })),
      refusal("InvalidRequest"),
    );
    assert.equal((await copy("other", "k")).status, 200);
    assert.equal(await classOf("other"), undefined);
    assert.equal((await copy("k", "k", { "x-cos-storage-class": "ARCHIVE" })).status, 200);
    const after = await head("k");
    assert.equal(after.headers.get("x-cos-storage-class"), "ARCHIVE");
    assert.equal(after.headers.get("etag"), before.headers.get("etag"));
    assert.equal(after.headers.get("content-type"), before.headers.get("content-type"));
  });

  it("MAZOperationNotSupportOnOAZBucket: a class of several availability zones", async () => {
    for (const name of ["MAZ_STANDARD", "maz_standard_ia", "MAZ_INTELLIGENT_TIERING", "MAZ_ARCHIVE"]) {
      assert.deepEqual(refusalOf(await put("k", name)), refusal("MAZOperationNotSupportOnOAZBucket"));
    }
  });

  it("NotSupportedStorageClass: tiering where the bucket has none, or of an object that grows", async () => {
    const headers = { "x-cos-storage-class": "INTELLIGENT_TIERING" };
    const unsupported = refusal("NotSupportedStorageClass");
    const begin = () => server.send({ method: "POST", target: "/k?uploads", headers });
    const append = () => server.send({ method: "POST", target: "/log?append&position=0", body: "x", headers });
    await put("source", "STANDARD");
    assert.deepEqual(refusalOf(await put("k", "INTELLIGENT_TIERING")), unsupported);
    assert.deepEqual(refusalOf(await copy("k", "source", headers)), unsupported);
    assert.deepEqual(refusalOf(await begin()), unsupported);
    await enableTiering();
    assert.equal((await put("k", "INTELLIGENT_TIERING")).status, 200);
    assert.equal((await copy("k2", "source", headers)).status, 200);
    assert.equal((await begin()).status, 200);
    assert.deepEqual(refusalOf(await append()), unsupported);
  });

  describe("of archives", () => {
    it("InvalidObjectState403: every way to read the bytes, until they are restored", async () => {
      await put("frozen", "ARCHIVE");
      const begun = await server.done({ method: "POST", target: "/parts?uploads" });
      const uploadId = elementOf(begun, "UploadId");
      const partCopy = () =>
        server.send({
          method: "PUT",
          target: `/parts?partNumber=1&uploadId=${uploadId}`,
          headers: { "x-cos-copy-source": `${HOST}/frozen` },
        });
      const reads = () =>
        Promise.all([get("frozen"), get("frozen", { range: "bytes=0-1" }), copy("k", "frozen"), partCopy()]);
      for (const answer of await reads()) {
        assert.deepEqual(refusalOf(answer), refusal("InvalidObjectState403"), answer.text);
        assert.equal(answer.headers.get("x-cos-storage-class"), "ARCHIVE");
        assert.equal(elementOf(answer, "Message"), "The operation is not valid for the object storage class.");
      }
      assert.equal((await head("frozen")).status, 200);
      assert.equal((await restore("frozen", restoreBody(1, "Expedited"))).status, 202);
      server.clock.advance(60_000);
      assert.deepEqual(
        (await reads()).map(({ status }) => status),
        [200, 206, 200, 200],
      );
    });

    it("InvalidObjectState403: more bytes for an object that was archived", async () => {
      const headers = { "x-cos-storage-class": "ARCHIVE" };
      await server.done({ method: "POST", target: "/log?append&position=0", body: "x", headers });
      const more = await server.send({ method: "POST", target: "/log?append&position=1", body: "x" });
      assert.deepEqual(refusalOf(more), refusal("InvalidObjectState403"));
    });

    it.each([
      ["ARCHIVE", "Expedited", 60_000],
      ["ARCHIVE", "Standard", 3 * HOUR_MS],
      ["ARCHIVE", "Bulk", 5 * HOUR_MS],
      ["ARCHIVE", undefined, 3 * HOUR_MS],
      ["DEEP_ARCHIVE", "Standard", 12 * HOUR_MS],
      ["DEEP_ARCHIVE", "Bulk", 24 * HOUR_MS],
    ])(
      "%s, restored by tier %s: ready when its time has come, and frozen again after its days",
      async (name, tier, ms) => {
        await put("k", name);
        const state = async () => {
          const listed = await server.done({ method: "GET", target: "/" });
          return [
            (await head("k")).headers.get("x-cos-restore"),
            elementOf(listed, "RestoreStatus"),
            (await get("k")).status,
          ];
        };
        assert.deepEqual(await state(), [undefined, undefined, 403]);
        assert.equal((await restore("k", restoreBody(2, tier))).status, 202);
        assert.deepEqual(await state(), ['ongoing-request="true"', "ONGOING", 403]);
        assert.equal(
          (await head("k")).headers.get("x-cos-restore-status"),
          `tier="${(tier ?? "Standard").toLowerCase()}"; request-date="Sun, 01 Mar 2026 02:00:00 GMT"`,
        );
        server.clock.advance(ms - 1);
        assert.deepEqual(await state(), ['ongoing-request="true"', "ONGOING", 403]);
        server.clock.advance(1);
        // Two days after it was ready, at the next midnight of GMT+8.
        const day = START + ms >= Date.UTC(2026, 2, 1, 16) ? "Wed, 04" : "Tue, 03";
        const expiry = `ongoing-request="false", expiry-date="${day} Mar 2026 16:00:00 GMT"`;
        assert.deepEqual(await state(), [expiry, "DONE", 200]);
        assert.equal((await head("k")).headers.get("x-cos-restore-status"), undefined);
        assert.equal(await classOf("k"), name);
        server.clock.set(Date.UTC(2026, 2, day === "Wed, 04" ? 4 : 3, 16) - 1);
        assert.deepEqual(await state(), [expiry, "DONE", 200]);
        server.clock.advance(1);
        assert.deepEqual(await state(), [undefined, undefined, 403]);
        assert.equal((await restore("k", restoreBody(1, tier))).status, 202);
      },
    );

    it("RestoreAlreadyInProgress: a second restore before the first is done", async () => {
      await put("k", "ARCHIVE");
      await restore("k", restoreBody(1));
      assert.deepEqual(refusalOf(await restore("k", restoreBody(5))), refusal("RestoreAlreadyInProgress"));
    });

    it("restores a restored one by setting its days anew, with 200", async () => {
      await put("k", "ARCHIVE");
      await restore("k", restoreBody(1, "Expedited"));
      server.clock.advance(HOUR_MS);
      assert.equal((await restore("k", restoreBody(30, "Bulk"))).status, 200);
      const told = (await head("k")).headers.get("x-cos-restore");
      assert.equal(told, 'ongoing-request="false", expiry-date="Tue, 31 Mar 2026 16:00:00 GMT"');
      assert.equal((await get("k")).status, 200);
    });

    it("RestoreNonArchiveObject: an object that is not archived", async () => {
      await put("k", "STANDARD_IA");
      assert.deepEqual(refusalOf(await restore("k", restoreBody(1))), refusal("RestoreNonArchiveObject"));
    });

    it("InvalidArgument: days or a tier that there are not", async () => {
      await put("k", "DEEP_ARCHIVE");
      const invalid = refusal("InvalidArgument");
      assert.deepEqual(refusalOf(await restore("k", restoreBody(1, "Expedited"))), invalid);
      for (const days of [0, -1, 366]) assert.deepEqual(refusalOf(await restore("k", restoreBody(days))), invalid);
    });

    it("NotImplemented: what S3 clients may ask for besides, by its element", async () => {
      await put("k", "ARCHIVE");
      for (const element of ["Type", "SelectParameters", "OutputLocation"]) {
        const body = `<RestoreRequest><Days>1</Days><${element}>SELECT</${element}></RestoreRequest>`;
        const answer = await restore("k", body);
        assert.deepEqual(refusalOf(answer), refusal("NotImplemented"));
        assert.ok(answer.text.includes(element), answer.text);
      }
      // A tier beside the parameters counts: this one takes longer than the tier that goes without saying.
      assert.equal(
        (await restore("k", "<RestoreRequest><Days>1</Days><Tier>Bulk</Tier></RestoreRequest>")).status,
        202,
      );
      server.clock.advance(4 * HOUR_MS);
      assert.deepEqual(refusalOf(await restore("k", restoreBody(1))), refusal("RestoreAlreadyInProgress"));
    });

    it("MalformedXML: a restore that says too little or nothing sensible", async () => {
      await put("k", "ARCHIVE");
      for (const body of [
        "<RestoreRequest></RestoreRequest>",
        "<RestoreRequest><Days>x</Days></RestoreRequest>",
        restoreBody(1, "Slow"),
        "<RestoreRequest><Days>1</Days><CASJobParameters/></RestoreRequest>",
        "<Other><Days>1</Days></Other>",
      ]) {
        assert.deepEqual(refusalOf(await restore("k", body)), refusal("MalformedXML"), body);
      }
      assert.deepEqual(refusalOf(await restore("k", "")), refusal("MissingRequestBodyError"));
    });

    it("NoSuchKey, NoSuchVersion, MethodNotAllowed: a restore of what is not there", async () => {
      assert.deepEqual(refusalOf(await restore("none", restoreBody(1))), refusal("NoSuchKey"));
      const body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
      await server.done({ method: "PUT", target: "/?versioning", body });
      const made = await put("k", "ARCHIVE");
      const id = made.headers.get("x-cos-version-id");
      const marker = (await server.done({ method: "DELETE", target: "/k" })).headers.get("x-cos-version-id");
      const byId = (version: string | undefined) =>
        server.send({ method: "POST", target: `/k?restore&versionId=${version}`, body: restoreBody(1) });
      assert.deepEqual(refusalOf(await byId("MTg0NDY")), refusal("NoSuchVersion"));
      assert.deepEqual(refusalOf(await byId(marker)), refusal("MethodNotAllowed"));
      assert.deepEqual(refusalOf(await restore("k", restoreBody(1))), refusal("NoSuchKey"));
      const restored = await byId(id);
      assert.deepEqual([restored.status, restored.headers.get("x-cos-version-id")], [202, id]);
      server.clock.advance(3 * HOUR_MS);
      assert.equal((await server.send({ method: "GET", target: `/k?versionId=${id}` })).status, 200);
    });

    it("InvalidObjectState409: a change of class while it is being restored", async () => {
      await put("k", "ARCHIVE");
      await restore("k", restoreBody(1));
      assert.deepEqual(refusalOf(await copy("k", "k")), refusal("InvalidObjectState409"));
      assert.deepEqual(refusalOf(await copy("other", "k")), refusal("InvalidObjectState403"));
      server.clock.advance(3 * HOUR_MS);
      assert.equal((await copy("k", "k")).status, 200);
      assert.equal(await classOf("k"), undefined);
      server.clock.advance(10 * DAY_MS);
      assert.equal((await get("k")).text, "bytes");
    });

    it("a new object under the key of a restored one is frozen as ever", async () => {
      await put("k", "ARCHIVE");
      await restore("k", restoreBody(10, "Expedited"));
      server.clock.advance(60_000);
      await put("k", "ARCHIVE", "other bytes");
      assert.deepEqual(refusalOf(await get("k")), refusal("InvalidObjectState403"));
    });
  });

  describe("of intelligent tiering", () => {
    it("is told empty before, and as it was set from then on; it cannot be changed", async () => {
      const read = async () => (await server.done({ method: "GET", target: "/?intelligenttiering" })).text;
      assert.match(await read(), /<IntelligentTieringConfiguration\/>$/);
      await enableTiering(60);
      assert.ok((await read()).endsWith(tieringBody(60)));
      await enableTiering(60);
      const changed = await server.send({ method: "PUT", target: "/?intelligenttiering", body: tieringBody(30) });
      assert.deepEqual(refusalOf(changed), refusal("InvalidArgument"));
      assert.equal(elementOf(changed, "Message"), "Not support modify intelligent tiering configuration");
      assert.ok((await read()).endsWith(tieringBody(60)));
    });

    it("refuses what cannot be: InvalidArgument, MalformedXML", async () => {
      const set = (body: string) => server.send({ method: "PUT", target: "/?intelligenttiering", body });
      for (const [body, id] of [
        [tieringBody(31), "InvalidArgument"],
        [tieringBody(30).replace("Enabled", "Suspended"), "MalformedXML"],
        [tieringBody(30).replace("<Status>Enabled</Status>", ""), "MalformedXML"],
        [tieringBody(30).replace(">1<", ">2<"), "InvalidArgument"],
        ["<IntelligentTieringConfiguration><Status>Enabled</Status></IntelligentTieringConfiguration>", "MalformedXML"],
      ] as const) {
        assert.deepEqual(refusalOf(await set(body)), refusal(id), body);
      }
    });

    it("moves an object that nobody reads, and back when somebody does", async () => {
      await enableTiering(30);
      await put("big", "INTELLIGENT_TIERING", BIG);
      await put("small", "INTELLIGENT_TIERING", BIG.subarray(1));
      const tiers = async () => {
        const listed = await server.done({ method: "GET", target: "/" });
        const inList = [...listed.text.matchAll(/<StorageTier>(\w+)</g)].map(([, tier]) => tier);
        const inHead = [
          (await head("big")).headers.get("x-cos-storage-tier"),
          (await head("small")).headers.get("x-cos-storage-tier"),
        ];
        assert.deepEqual(inList, inHead);
        return inHead;
      };
      const { headers } = await head("big");
      assert.deepEqual(await tiers(), ["FREQUENT", "FREQUENT"]);
      server.clock.advance(20 * DAY_MS);
      assert.equal((await get("big")).status, 200);
      server.clock.advance(30 * DAY_MS - 1);
      assert.deepEqual(await tiers(), ["FREQUENT", "FREQUENT"]);
      server.clock.advance(1);
      assert.deepEqual(await tiers(), ["INFREQUENT", "FREQUENT"]);
      assert.equal((await get("big")).status, 200);
      assert.deepEqual(await tiers(), ["FREQUENT", "FREQUENT"]);
      const after = (await head("big")).headers;
      for (const name of ["etag", "last-modified"]) assert.equal(after.get(name), headers.get(name));
    });

    it("are read also where it cannot be noted that somebody did", async () => {
      await enableTiering(30);
      await put("big", "INTELLIGENT_TIERING", BIG);
      server.clock.advance(20 * DAY_MS);
      const find = vi.spyOn(server.store.objects, "findVersionIn").mockRejectedValue(new Error("cannot be noted"));
      const answer = await get("big");
      find.mockRestore();
      assert.equal(answer.status, 200);
      assert.deepEqual(server.faults, []);
      server.clock.advance(10 * DAY_MS);
      assert.equal((await head("big")).headers.get("x-cos-storage-tier"), "INFREQUENT");
    });

    describe("by rules with ids", () => {
      const ROOT = "IntelligentTieringConfiguration";
      const rule = (id: string, inside: string, status = "Enabled"): string =>
        `<${ROOT}><Id>${id}</Id><Status>${status}</Status>${inside}</${ROOT}>`;
      const tier = (name: string, days: number, more = ""): string =>
        `<Tiering><AccessTier>${name}</AccessTier><Days>${days}</Days>${more}</Tiering>`;
      const infrequent = (days = 30): string =>
        rule("default", tier("INFREQUENT", days, "<RequestFrequent>1</RequestFrequent>"));
      const ask = (method: string, id: string | undefined, body?: string) =>
        server.send({
          method,
          target: `/?intelligent-tiering${id === undefined ? "" : `&id=${encodeURIComponent(id)}`}`,
          ...(body === undefined ? {} : { body }),
        });
      const set = async (id: string, body: string): Promise<void> => {
        const answer = await ask("PUT", id, body);
        assert.equal(answer.status, 200, answer.text);
      };
      const tierOf = async (key: string) => (await head(key)).headers.get("x-cos-storage-tier");

      it("are told as they were set, alone and as a list; default is the older form's", async () => {
        assert.match((await ask("GET", "default")).text, /<IntelligentTieringConfiguration\/>$/);
        const early = await ask("PUT", "cold", rule("cold", tier("ARCHIVE_ACCESS", 90)));
        assert.deepEqual(refusalOf(early), refusal("InvalidRequest"));
        await set("default", infrequent(60));
        assert.ok((await ask("GET", "default")).text.endsWith(infrequent(60)));
        const older = await server.done({ method: "GET", target: "/?intelligenttiering" });
        assert.ok(older.text.endsWith(tieringBody(60)));
        const filter = "<Filter><And><Prefix>logs/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And></Filter>";
        const both = tier("ARCHIVE_ACCESS", 90) + tier("DEEP_ARCHIVE_ACCESS", 180);
        await set("z", rule("z", tier("DEEP_ARCHIVE_ACCESS", 200), "Disabled"));
        await set("logs", rule("logs", filter + both));
        const told = `<${ROOT}><Id>logs</Id>${filter}<Status>Enabled</Status>${both}</${ROOT}>`;
        assert.ok((await ask("GET", "logs")).text.endsWith(told));
        const list = (await ask("GET", undefined)).text;
        assert.match(list, /<ListBucketIntelligentTieringConfigurationsOutput><IsTruncated>false</);
        const ids = (text: string) => [...text.matchAll(/<Id>(\w+)</g)].map(([, id]) => id);
        assert.deepEqual(ids(list), ["default", "logs", "z"]);
        await set("logs", rule("logs", tier("ARCHIVE_ACCESS", 91)));
        for (const _ of ["there", "gone"]) assert.equal((await ask("DELETE", "z")).status, 204);
        assert.deepEqual(ids((await ask("GET", undefined)).text), ["default", "logs"]);
        assert.match((await ask("GET", "z")).text, /<IntelligentTieringConfiguration\/>$/);
      });

      it("refuse what cannot be: InvalidArgument, MalformedXML", async () => {
        await set("default", infrequent());
        const archive = tier("ARCHIVE_ACCESS", 90);
        for (const [id, body, code] of [
          ["default", infrequent(60), "InvalidArgument"],
          ["default", infrequent().replace("Enabled", "Disabled"), "InvalidArgument"],
          ["default", rule("default", archive), "MalformedXML"],
          ["other", rule("cold", archive), "InvalidArgument"],
          ["a/b", rule("a/b", archive), "InvalidArgument"],
          ["cold", rule("cold", tier("ARCHIVE_ACCESS", 89)), "InvalidArgument"],
          ["cold", rule("cold", tier("DEEP_ARCHIVE_ACCESS", 731)), "InvalidArgument"],
          ["cold", rule("cold", tier("ARCHIVE_ACCESS", 200) + tier("DEEP_ARCHIVE_ACCESS", 200)), "InvalidArgument"],
          ["cold", rule("cold", archive + archive), "MalformedXML"],
          ["cold", rule("cold", tier("INFREQUENT", 90)), "MalformedXML"],
          ["cold", rule("cold", ""), "MalformedXML"],
          ["cold", rule("cold", `<Filter><Prefix>a</Prefix><Prefix>b</Prefix></Filter>${archive}`), "MalformedXML"],
          ["cold", rule("cold", archive, "Suspended"), "MalformedXML"],
        ] as const) {
          assert.deepEqual(refusalOf(await ask("PUT", id, body)), refusal(code), body);
        }
        assert.deepEqual(refusalOf(await ask("DELETE", "default")), refusal("InvalidArgument"));
        assert.deepEqual(refusalOf(await ask("PUT", undefined, infrequent())), refusal("InvalidArgument"));
      });

      it("leave alone what is copied, whole or as a part, of any version", async () => {
        await set("default", infrequent());
        await set("cold", rule("cold", tier("ARCHIVE_ACCESS", 90)));
        const body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        const versions = new Map<string, string>();
        for (const key of ["whole", "part", "itself", "idle", "refused"]) {
          if (key === "itself") await server.done({ method: "PUT", target: "/?versioning", body });
          versions.set(key, (await put(key, "INTELLIGENT_TIERING", BIG)).headers.get("x-cos-version-id") ?? "null");
        }
        const begun = await server.done({ method: "POST", target: "/parts?uploads" });
        const part = {
          method: "PUT",
          target: `/parts?partNumber=1&uploadId=${elementOf(begun, "UploadId")}`,
          headers: { "x-cos-copy-source": `${HOST}/part`, "x-cos-copy-source-range": "bytes=0-9" },
        };
        server.clock.advance(60 * DAY_MS);
        assert.equal((await copy("copy", "whole")).status, 200);
        assert.equal((await server.send(part)).status, 200);
        assert.equal((await copy("itself", "itself")).status, 200);
        const unmet = await copy("copy", "refused", { "x-cos-copy-source-If-Match": '"0"' });
        assert.deepEqual(refusalOf(unmet), refusal("PreconditionFailed"));
        const told = () =>
          Promise.all([...versions].map(([key, id]) => tierOf(`${key}?versionId=${encodeURIComponent(id)}`)));
        assert.deepEqual(await told(), ["FREQUENT", "FREQUENT", "FREQUENT", "INFREQUENT", "INFREQUENT"]);
        server.clock.advance(60 * DAY_MS);
        assert.deepEqual(await told(), ["INFREQUENT", "INFREQUENT", "INFREQUENT", "ARCHIVE_ACCESS", "ARCHIVE_ACCESS"]);
      });

      it("InvalidObjectState: archive what nobody reads, until it is restored to the frequent tier", async () => {
        await set("default", infrequent());
        await set("cold", rule("cold", `<Filter><Prefix>cold/</Prefix></Filter>${tier("ARCHIVE_ACCESS", 90)}`));
        const tag = "<Filter><Tag><Key>keep</Key><Value>no</Value></Tag></Filter>";
        await set("deep", rule("deep", tag + tier("DEEP_ARCHIVE_ACCESS", 180)));
        for (const key of ["cold/a", "warm", "cold/small"]) {
          await put(key, "INTELLIGENT_TIERING", key === "cold/small" ? "x" : BIG);
        }
        const headers = { "x-cos-storage-class": "INTELLIGENT_TIERING", "x-cos-tagging": "keep=no" };
        await server.done({ method: "PUT", target: "/cold/deep", body: BIG, headers });
        server.clock.advance(90 * DAY_MS - 1);
        assert.deepEqual([await tierOf("cold/a"), await tierOf("cold/deep")], ["INFREQUENT", "INFREQUENT"]);
        server.clock.advance(1);
        assert.deepEqual(
          [await tierOf("cold/a"), await tierOf("warm"), await tierOf("cold/small"), await tierOf("cold/deep")],
          ["ARCHIVE_ACCESS", "INFREQUENT", "FREQUENT", "ARCHIVE_ACCESS"],
        );
        server.clock.advance(90 * DAY_MS);
        assert.equal(await tierOf("cold/deep"), "DEEP_ARCHIVE_ACCESS");
        for (const list of ["/?prefix=cold/", "/?versions&prefix=cold/"]) {
          const listed = (await server.done({ method: "GET", target: list })).text;
          assert.deepEqual(
            [...listed.matchAll(/<StorageTier>(\w+)</g)].map(([, found]) => found),
            ["ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS", "FREQUENT"],
          );
        }
        const refused = await get("cold/a");
        assert.deepEqual(refusalOf(refused), refusal("InvalidObjectState403"));
        assert.deepEqual(
          [refused.headers.get("x-cos-storage-class"), refused.headers.get("x-cos-storage-tier")],
          ["INTELLIGENT_TIERING", "ARCHIVE_ACCESS"],
        );
        assert.deepEqual(refusalOf(await copy("copy", "cold/a")), refusal("InvalidObjectState403"));
        assert.deepEqual(refusalOf(await restore("warm", restoreBody(1))), refusal("RestoreNonArchiveObject"));
        const fast = await restore("cold/deep", restoreBody(1, "Expedited"));
        assert.deepEqual(refusalOf(fast), refusal("InvalidArgument"));

        assert.equal((await restore("cold/a", "<RestoreRequest><Tier>Expedited</Tier></RestoreRequest>")).status, 202);
        assert.equal((await head("cold/a")).headers.get("x-cos-restore"), 'ongoing-request="true"');
        assert.deepEqual(refusalOf(await restore("cold/a", restoreBody(1))), refusal("RestoreAlreadyInProgress"));
        assert.deepEqual(refusalOf(await get("cold/a")), refusal("InvalidObjectState403"));
        server.clock.advance(60_000);
        const restored = await get("cold/a");
        assert.deepEqual(
          [restored.status, restored.headers.get("x-cos-storage-tier"), restored.headers.get("x-cos-restore")],
          [200, "FREQUENT", undefined],
        );
        server.clock.advance(90 * DAY_MS);
        assert.equal(await tierOf("cold/a"), "ARCHIVE_ACCESS", "for as long as nobody reads it for long");
        assert.equal((await ask("DELETE", "cold")).status, 204);
        assert.equal((await get("cold/a")).status, 200);
      });
    });
  });
});
