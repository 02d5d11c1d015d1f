import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import type { BackgroundTask } from "../../src/background.ts";
import { lifecycleTask } from "../../src/features/lifecycle/index.ts";
import { type MetadataEngine, pointRange } from "../../src/ports/metadata.ts";
import { configurationKey, objectKey } from "../../src/store/keys.ts";
import { decodeConfiguration, decodeObject, encodeConfiguration, encodeObject } from "../../src/store/records.ts";
import { memoryDisk, openOn } from "../contract/store-fixture.ts";
import {
  DAY_MS,
  elementOf,
  HOUR_MS,
  refusal,
  refusalOf,
  type TimedServer,
  timedServer,
  walkTo,
} from "../fixtures/timed-server.ts";
import { md5, partList } from "../fixtures/uploads.ts";

/** 23:55 of the first of a month in GMT+8. */
const START = Date.UTC(2026, 2, 1, 15, 55);
/** The midnight of GMT+8 that begins a day of that month. */
const midnight = (day: number): number => Date.UTC(2026, 2, day - 1, 16);
const BIG = Buffer.alloc(64 * 1024, "b");

const rule = (content: string, filter = "<Filter/>", status = "Enabled"): string =>
  `<Rule>${filter}<Status>${status}</Status>${content}</Rule>`;
const lifecycle = (...rules: string[]): string => `<LifecycleConfiguration>${rules.join("")}</LifecycleConfiguration>`;
const expireAfter = (days: number): string => `<Expiration><Days>${days}</Days></Expiration>`;
const moveAfter = (days: number, to: string): string =>
  `<Transition><Days>${days}</Days><StorageClass>${to}</StorageClass></Transition>`;
const prefix = (text: string): string => `<Filter><Prefix>${text}</Prefix></Filter>`;

describe("lifecycle", () => {
  let server: TimedServer;
  let task: BackgroundTask;
  beforeEach(async () => {
    server = await timedServer(START);
    task = lifecycleTask(server.store);
    await task.runDue(START);
  });

  const set = (body: string) => server.send({ method: "PUT", target: "/?lifecycle", body });
  const setRules = async (...rules: string[]) => {
    const answer = await set(lifecycle(...rules));
    assert.equal(answer.status, 200, answer.text);
  };
  const told = async () => (await server.done({ method: "GET", target: "/?lifecycle" })).text;
  const put = (key: string, body: string | Buffer = "bytes", headers: Record<string, string> = {}) =>
    server.done({ method: "PUT", target: `/${key}`, body, headers });
  const head = (key: string) => server.send({ method: "HEAD", target: `/${key}` });
  const classOf = async (key: string) => {
    const answer = await head(key);
    return answer.status === 200 ? (answer.headers.get("x-cos-storage-class") ?? "STANDARD") : "gone";
  };
  const to = (ms: number) => walkTo(task, server.clock, ms);
  const enableVersioning = (status = "Enabled") =>
    server.done({
      method: "PUT",
      target: "/?versioning",
      body: `<VersioningConfiguration><Status>${status}</Status></VersioningConfiguration>`,
    });
  /** Every version of every key, the newest first: its size, or `marker`, and its class where it is not STANDARD. */
  const versions = async () =>
    [
      ...(await server.done({ method: "GET", target: "/?versions" })).text.matchAll(
        /<(Version|DeleteMarker)>(.*?)<\/\1>/gs,
      ),
    ].map(([, kind, inner = ""]) => {
      const text = (name: string): string => new RegExp(`<${name}>([^<]*)<`).exec(inner)?.[1] ?? "";
      const storageClass = text("StorageClass");
      const shown = storageClass === "STANDARD" || kind === "DeleteMarker" ? "" : ` ${storageClass}`;
      return `${text("Key")} ${kind === "Version" ? text("Size") : "marker"}${shown}`;
    });

  describe("configuration", () => {
    it("is told as it was set, in one order, with an id for each rule", async () => {
      await server.done({
        method: "PUT",
        target: "/?intelligenttiering",
        body: "<IntelligentTieringConfiguration><Status>Enabled</Status><Transition><Days>30</Days></Transition></IntelligentTieringConfiguration>",
      });
      const rules = [
        `<Rule><ID>everything</ID><Filter/><Status>Enabled</Status>` +
          `${moveAfter(0, "STANDARD_IA")}${moveAfter(30, "INTELLIGENT_TIERING")}${moveAfter(60, "ARCHIVE")}${moveAfter(90, "DEEP_ARCHIVE")}` +
          expireAfter(3650) +
          `<NoncurrentVersionTransition><NoncurrentDays>0</NoncurrentDays><StorageClass>ARCHIVE</StorageClass></NoncurrentVersionTransition>` +
          `<NoncurrentVersionExpiration><NoncurrentDays>3650</NoncurrentDays></NoncurrentVersionExpiration>` +
          `<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>`,
        `<Rule><ID>one</ID>${prefix("a&amp;b/")}<Status>Disabled</Status><Expiration><Date>2030-01-01T00:00:00+08:00</Date></Expiration></Rule>`,
        `<Rule><ID>tag</ID><Filter><Tag><Key>k</Key><Value/></Tag></Filter><Status>Enabled</Status>${expireAfter(1)}</Rule>`,
        `<Rule><ID>and</ID><Filter><And><Prefix>p</Prefix><Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value>2</Value></Tag>` +
          `<PrefixNotEquals>p/not/</PrefixNotEquals><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan><ObjectSizeLessThan>9</ObjectSizeLessThan></And></Filter>` +
          `<Status>Enabled</Status>${expireAfter(1)}</Rule>`,
        `<Rule><ID>markers</ID><Filter/><Status>Enabled</Status><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>`,
      ];
      await setRules(...rules);
      assert.ok((await told()).endsWith(lifecycle(...rules)), await told());
      await setRules(`<Rule><Prefix>old/</Prefix><Status>Enabled</Status>${expireAfter(1)}</Rule>`);
      assert.match(await told(), /<Rule><ID>[0-9a-f]{32}<\/ID><Prefix>old\/<\/Prefix><Status>Enabled</);
    });

    it("takes classes in any case, Days for NoncurrentDays, and midnights of GMT", async () => {
      await setRules(
        rule(moveAfter(1, "Standard_IA")),
        rule("<NoncurrentVersionExpiration><Days>2</Days></NoncurrentVersionExpiration>"),
        rule("<Expiration><Date>2030-01-01T00:00:00.000Z</Date></Expiration>", prefix("x")),
      );
      const text = await told();
      assert.match(text, /<StorageClass>STANDARD_IA</);
      assert.match(text, /<NoncurrentDays>2</);
      assert.match(text, /<Date>2030-01-01T00:00:00\.000Z</);
    });

    it("NoSuchLifecycleConfiguration: a bucket without rules, also after they were deleted", async () => {
      const get = () => server.send({ method: "GET", target: "/?lifecycle" });
      assert.deepEqual(refusalOf(await get()), refusal("NoSuchLifecycleConfiguration"));
      await setRules(rule(expireAfter(1)));
      assert.equal((await get()).status, 200);
      for (let times = 0; times < 2; times++) {
        assert.equal((await server.send({ method: "DELETE", target: "/?lifecycle" })).status, 204);
      }
      assert.deepEqual(refusalOf(await get()), refusal("NoSuchLifecycleConfiguration"));
    });

    const tag = "<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>";
    const LARGE = "<Filter><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></Filter>";
    const EXPIRED_MARKERS = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>";
    const ABORT =
      "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>";
    const conditions = (all: string): string => `<Filter><And>${all}</And></Filter>`;
    const REFUSED: readonly (readonly [what: string, id: Parameters<typeof refusal>[0], body: string])[] = [
      ["no rule", "MalformedXML", lifecycle()],
      ["another root", "MalformedXML", "<Lifecycle/>"],
      ["no filter", "MalformedXML", lifecycle(`<Rule><Status>Enabled</Status>${expireAfter(1)}</Rule>`)],
      [
        "two conditions without And",
        "MalformedXML",
        lifecycle(rule(expireAfter(1), "<Filter><Prefix>a</Prefix><Tag><Key>k</Key></Tag></Filter>")),
      ],
      ["a filter and the bare prefix", "MalformedXML", lifecycle(rule(expireAfter(1), "<Filter/><Prefix>a</Prefix>"))],
      ["no status", "MalformedXML", lifecycle(`<Rule><Filter/>${expireAfter(1)}</Rule>`)],
      ["another status", "MalformedXML", lifecycle(rule(expireAfter(1), "<Filter/>", "enabled"))],
      ["no action", "InvalidArgument", lifecycle(rule(""))],
      ["a misspelt action (sec_S-4.5)", "MalformedXML", lifecycle(rule(`${expireAfter(1)}<Expirations/>`))],
      [
        "a misspelt condition (sec_S-4.5)",
        "MalformedXML",
        lifecycle(rule(expireAfter(1), "<Filter><prefix>a</prefix></Filter>")),
      ],
      ["an empty expiration", "MalformedXML", lifecycle(rule("<Expiration/>"))],
      ["days that are no number", "MalformedXML", lifecycle(rule("<Expiration><Days>soon</Days></Expiration>"))],
      ["0 days", "InvalidArgument", lifecycle(rule(expireAfter(0)))],
      ["3651 days", "InvalidArgument", lifecycle(rule(expireAfter(3651)))],
      ["-1 days", "InvalidArgument", lifecycle(rule(moveAfter(-1, "ARCHIVE")))],
      [
        "days and a date",
        "InvalidArgument",
        lifecycle(rule("<Expiration><Days>1</Days><Date>2030-01-01T00:00:00+08:00</Date></Expiration>")),
      ],
      [
        "days in one action and a date in another",
        "InvalidArgument",
        lifecycle(rule(`${moveAfter(1, "ARCHIVE")}<Expiration><Date>2030-01-01T00:00:00+08:00</Date></Expiration>`)),
      ],
      [
        "a date at noon",
        "InvalidArgument",
        lifecycle(rule("<Expiration><Date>2030-01-01T12:00:00+08:00</Date></Expiration>")),
      ],
      ["a date that is none", "MalformedXML", lifecycle(rule("<Expiration><Date>tomorrow</Date></Expiration>"))],
      [
        "a time and markers",
        "InvalidArgument",
        lifecycle(
          rule("<Expiration><Days>1</Days><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"),
        ),
      ],
      ["the standard class", "InvalidArgument", lifecycle(rule(moveAfter(1, "STANDARD")))],
      ["an unknown class", "InvalidArgument", lifecycle(rule(moveAfter(1, "SHINY")))],
      [
        "a class of several availability zones",
        "MAZOperationNotSupportOnOAZBucket",
        lifecycle(rule(moveAfter(1, "MAZ_STANDARD_IA"))),
      ],
      [
        "tiering where it is not enabled",
        "NotSupportedStorageClass",
        lifecycle(rule(moveAfter(1, "INTELLIGENT_TIERING"))),
      ],
      [
        "a colder class before a warmer one",
        "InvalidArgument",
        lifecycle(rule(moveAfter(30, "STANDARD_IA") + moveAfter(30, "ARCHIVE"))),
      ],
      ["one class twice", "InvalidArgument", lifecycle(rule(moveAfter(1, "ARCHIVE") + moveAfter(2, "ARCHIVE")))],
      [
        "an upload by tags",
        "InvalidArgument",
        lifecycle(
          rule(
            "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
            tag,
          ),
        ),
      ],
      [
        "an upload after 0 days",
        "InvalidArgument",
        lifecycle(
          rule(
            "<AbortIncompleteMultipartUpload><DaysAfterInitiation>0</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
          ),
        ),
      ],
      ["an id of 256 characters", "InvalidArgument", lifecycle(rule(`<ID>${"i".repeat(256)}</ID>${expireAfter(1)}`))],
      [
        "a tag that none may be",
        "InvalidTag",
        lifecycle(rule(expireAfter(1), "<Filter><Tag><Key>a;b</Key><Value/></Tag></Filter>")),
      ],
      [
        "what depends on accesses",
        "NotImplemented",
        lifecycle(
          rule(
            "<Transition><AccessFrequency><AccessCountLessThan>1</AccessCountLessThan></AccessFrequency><StorageClass>STANDARD_IA</StorageClass></Transition>",
          ),
        ),
      ],
      [
        "what keeps some versions",
        "NotImplemented",
        lifecycle(
          rule(
            "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>3</NewerNoncurrentVersions></NoncurrentVersionExpiration>",
          ),
        ),
      ],
      [
        "1001 rules",
        "InvalidArgument",
        lifecycle(...Array.from({ length: 1001 }, (_, at) => rule(expireAfter(1), prefix(`p${at}`)))),
      ],
      ["a prefix longer than a key", "InvalidArgument", lifecycle(rule(expireAfter(1), prefix("p".repeat(851))))],
      [
        "an exception of every key",
        "InvalidArgument",
        lifecycle(rule(expireAfter(1), conditions("<Prefix>a/b</Prefix><PrefixNotEquals>a/</PrefixNotEquals>"))),
      ],
      [
        "sizes that nothing has",
        "InvalidArgument",
        lifecycle(
          rule(
            expireAfter(1),
            conditions("<ObjectSizeGreaterThan>9</ObjectSizeGreaterThan><ObjectSizeLessThan>10</ObjectSizeLessThan>"),
          ),
        ),
      ],
      [
        "a size below none",
        "InvalidArgument",
        lifecycle(rule(expireAfter(1), "<Filter><ObjectSizeLessThan>0</ObjectSizeLessThan></Filter>")),
      ],
      ["tags of delete markers", "InvalidArgument", lifecycle(rule(EXPIRED_MARKERS, tag))],
      ["sizes of delete markers", "InvalidArgument", lifecycle(rule(EXPIRED_MARKERS, LARGE))],
      ["sizes of uploads", "InvalidArgument", lifecycle(rule(ABORT, LARGE))],
      ["nothing", "MissingRequestBodyError", ""],
    ];
    it.each(REFUSED)("refuses %s: %s", async (_, id, body) => {
      await setRules(rule(expireAfter(7)));
      const before = await told();
      assert.deepEqual(refusalOf(await set(body)), refusal(id));
      assert.equal(await told(), before);
    });

    it("refuses two rules with one id, or that contradict each other, in the service's words", async () => {
      const twice = rule(`<ID>a</ID>${expireAfter(1)}`);
      const same = await set(lifecycle(twice, twice));
      assert.deepEqual(refusalOf(same), refusal("InvalidArgument"));
      assert.equal(elementOf(same, "Message"), "Rule ID must be unique. Found same ID for more than one rule");
      const contrary = await set(lifecycle(rule(expireAfter(1), prefix("a")), rule(expireAfter(2), prefix("a"))));
      assert.deepEqual(refusalOf(contrary), refusal("InvalidRequest"));
      assert.equal(elementOf(contrary, "Message"), "Conflict lifecycle rule");
      await setRules(rule(expireAfter(1), prefix("a")), rule(expireAfter(2), prefix("ab")));
      await setRules(rule(expireAfter(1)), rule(expireAfter(2), "<Filter/>", "Disabled"));
      await setRules(rule(expireAfter(9)), rule(moveAfter(1, "ARCHIVE")));
    });

    it("takes 1,000 rules", async () => {
      await setRules(...Array.from({ length: 1000 }, (_, at) => rule(expireAfter(1), prefix(`p${at}`))));
      assert.equal([...(await told()).matchAll(/<Rule>/g)].length, 1000);
    });
  });

  describe("x-cos-expiration", () => {
    it("tells the midnight and the rule, of the rule that comes first", async () => {
      await setRules(
        rule(`<ID>ten days</ID>${expireAfter(10)}`, prefix("a")),
        rule(`<ID>5</ID>${expireAfter(5)}`, "<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>"),
        rule(`<ID>off</ID>${expireAfter(1)}`, "<Filter/>", "Disabled"),
      );
      const ten = 'expiry-date="Wed, 11 Mar 2026 16:00:00 GMT", rule-id="ten%20days"';
      assert.equal((await put("a")).headers.get("x-cos-expiration"), ten);
      assert.equal((await head("a")).headers.get("x-cos-expiration"), ten);
      assert.equal((await server.done({ method: "GET", target: "/a" })).headers.get("x-cos-expiration"), ten);
      const five = 'expiry-date="Fri, 06 Mar 2026 16:00:00 GMT", rule-id="5"';
      assert.equal((await put("a-tagged", "x", { "x-cos-tagging": "k=v" })).headers.get("x-cos-expiration"), five);
      assert.equal((await put("other")).headers.get("x-cos-expiration"), undefined);
      const uploadId = elementOf(await server.done({ method: "POST", target: "/a-parts?uploads" }), "UploadId");
      await server.done({ method: "PUT", target: `/a-parts?partNumber=1&uploadId=${uploadId}`, body: "x" });
      const body = partList([[1, md5("x")]]);
      const made = await server.done({ method: "POST", target: `/a-parts?uploadId=${uploadId}`, body });
      assert.equal(made.headers.get("x-cos-expiration"), ten);
    });

    it("tells when the lock ends of what is locked for longer, which is when it goes", async () => {
      const days = "<Rule><DefaultRetention><Days>20</Days></DefaultRetention></Rule>";
      const body = `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>${days}</ObjectLockConfiguration>`;
      await server.done({ method: "PUT", target: "/?object-lock", body });
      await setRules(rule(`<ID>r</ID>${expireAfter(5)}`));
      const twenty = 'expiry-date="Sat, 21 Mar 2026 16:00:00 GMT", rule-id="r"';
      assert.equal((await put("a")).headers.get("x-cos-expiration"), twenty);
      assert.equal((await head("a")).headers.get("x-cos-expiration"), twenty);
      await to(midnight(22) - 1);
      assert.equal(await classOf("a"), "STANDARD");
      await to(midnight(22));
      assert.equal(await classOf("a"), "gone");
    });
  });

  describe("at work", () => {
    it("expires an object at the first midnight after its days, not before", async () => {
      await setRules(rule(expireAfter(1)));
      await put("k");
      await to(midnight(3) - 1);
      assert.equal(await classOf("k"), "STANDARD");
      await to(midnight(3));
      assert.equal(await classOf("k"), "gone");
      const { expired, examined, doneMs } = await task.statistics();
      assert.deepEqual([expired, examined, doneMs], [1, 1, midnight(3)]);
    });

    it("expires an object of midnight sharp after exactly its days", async () => {
      await setRules(rule(expireAfter(1)));
      server.clock.set(midnight(2));
      await put("k");
      await to(midnight(3));
      assert.equal(await classOf("k"), "gone");
    });

    it("moves objects to ever colder classes, whose time stays, and never those below 64 KiB", async () => {
      await setRules(
        rule(moveAfter(0, "STANDARD_IA") + moveAfter(2, "ARCHIVE") + moveAfter(4, "DEEP_ARCHIVE") + expireAfter(6)),
      );
      await put("big", BIG);
      await put("small", BIG.subarray(1));
      const modified = (await head("big")).headers.get("last-modified");
      const seen: (readonly [string, string])[] = [];
      for (let day = 2; day <= 8; day++) {
        await to(midnight(day));
        seen.push([await classOf("big"), await classOf("small")]);
        if (day === 5) assert.equal((await head("big")).headers.get("last-modified"), modified);
      }
      assert.deepEqual(seen, [
        ["STANDARD_IA", "STANDARD"],
        ["STANDARD_IA", "STANDARD"],
        ["ARCHIVE", "STANDARD"],
        ["ARCHIVE", "STANDARD"],
        ["DEEP_ARCHIVE", "STANDARD"],
        ["DEEP_ARCHIVE", "STANDARD"],
        ["gone", "gone"],
      ]);
    });

    it("never moves to a warmer class, and of several that are due takes the coldest", async () => {
      await setRules(rule(moveAfter(1, "STANDARD_IA")), rule(moveAfter(1, "ARCHIVE"), prefix("k")));
      await put("k", BIG);
      await put("cold", BIG, { "x-cos-storage-class": "DEEP_ARCHIVE" });
      await to(midnight(3));
      assert.equal(await classOf("k"), "ARCHIVE");
      assert.equal(await classOf("cold"), "DEEP_ARCHIVE");
    });

    it("expires rather than moves what is due for both", async () => {
      await setRules(rule(moveAfter(1, "ARCHIVE")), rule(expireAfter(1)));
      await put("k", BIG);
      await to(midnight(3));
      assert.equal(await classOf("k"), "gone");
    });

    it("goes by prefixes, tags and sizes, all of which have to hold", async () => {
      await setRules(
        rule(
          expireAfter(1),
          "<Filter><And><Prefix>a/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag><PrefixNotEquals>a/not/</PrefixNotEquals><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan><ObjectSizeLessThan>4</ObjectSizeLessThan></And></Filter>",
        ),
      );
      const tagged = { "x-cos-tagging": "other=1&k=v" };
      await put("a/2", "xx", tagged);
      await put("a/3", "xxx", tagged);
      await put("a/1", "x", tagged);
      await put("a/4", "xxxx", tagged);
      await put("b/2", "xx", tagged);
      await put("a/untagged", "xx");
      await put("a/tagged-otherwise", "xx", { "x-cos-tagging": "k=w" });
      await put("a/not/2", "xx", tagged);
      await to(midnight(3));
      assert.deepEqual(await versions(), [
        "a/1 1",
        "a/4 4",
        "a/not/2 2",
        "a/tagged-otherwise 2",
        "a/untagged 2",
        "b/2 2",
      ]);
    });

    it("does nothing by rules that are disabled, gone, or set after the midnight", async () => {
      await put("k");
      await setRules(rule(expireAfter(1), "<Filter/>", "Disabled"));
      await to(midnight(9));
      // The server was off at midnight; the rule that is set in the morning waits for the next one.
      server.clock.set(midnight(10) + HOUR_MS);
      await setRules(rule(expireAfter(1)));
      await task.runDue(server.clock.now());
      assert.equal(await classOf("k"), "STANDARD");
      await to(midnight(11) - 1);
      assert.equal(await classOf("k"), "STANDARD");
      await server.done({ method: "DELETE", target: "/?lifecycle" });
      await to(midnight(20));
      assert.equal(await classOf("k"), "STANDARD");
    });

    it("makes up for missed midnights, and spares what was stored after the last one", async () => {
      await setRules(rule("<Expiration><Date>2026-03-05T00:00:00+08:00</Date></Expiration>"));
      await put("old");
      server.clock.set(midnight(12) + 2 * HOUR_MS);
      await put("new");
      await task.runDue(server.clock.now());
      assert.deepEqual(await versions(), ["new 5"]);
      await to(midnight(13));
      assert.deepEqual(await versions(), []);
    });

    it("leaves appendable objects alone", async () => {
      await setRules(rule(expireAfter(1)));
      await server.done({ method: "POST", target: "/log?append&position=0", body: "x" });
      await to(midnight(9));
      assert.equal(await classOf("log"), "STANDARD");
    });

    it("leaves an archived object in its class while a restored copy is there", async () => {
      await setRules(rule(moveAfter(1, "DEEP_ARCHIVE")));
      await put("k", BIG, { "x-cos-storage-class": "ARCHIVE" });
      const body = "<RestoreRequest><Days>5</Days></RestoreRequest>";
      await server.done({ method: "POST", target: "/k?restore", body });
      await to(midnight(8) - 1);
      assert.equal(await classOf("k"), "ARCHIVE");
      assert.equal((await server.done({ method: "GET", target: "/k" })).status, 200);
      await to(midnight(8));
      assert.equal(await classOf("k"), "DEEP_ARCHIVE");
    });

    it("begins in the infrequent tier what comes from the infrequent class", async () => {
      const body =
        "<IntelligentTieringConfiguration><Status>Enabled</Status><Transition><Days>30</Days></Transition></IntelligentTieringConfiguration>";
      await server.done({ method: "PUT", target: "/?intelligenttiering", body });
      await setRules(rule(moveAfter(1, "INTELLIGENT_TIERING")));
      await put("cool", BIG, { "x-cos-storage-class": "STANDARD_IA" });
      await put("warm", BIG);
      await to(midnight(3));
      const tierOf = async (key: string) => (await head(key)).headers.get("x-cos-storage-tier");
      assert.deepEqual([await tierOf("cool"), await tierOf("warm")], ["INFREQUENT", "FREQUENT"]);
      await server.done({ method: "GET", target: "/cool" });
      assert.equal(await tierOf("cool"), "FREQUENT");
      await to(midnight(33));
      assert.deepEqual([await tierOf("cool"), await tierOf("warm")], ["INFREQUENT", "INFREQUENT"]);
    });

    it("archives what comes from the infrequent class when it was idle for the days of a rule since it came", async () => {
      const infrequent =
        "<Tiering><AccessTier>INFREQUENT</AccessTier><Days>30</Days><RequestFrequent>1</RequestFrequent></Tiering>";
      const archive = "<Tiering><AccessTier>ARCHIVE_ACCESS</AccessTier><Days>90</Days></Tiering>";
      for (const [id, tier] of [
        ["default", infrequent],
        ["cold", archive],
      ]) {
        const body = `<IntelligentTieringConfiguration><Id>${id}</Id><Status>Enabled</Status>${tier}</IntelligentTieringConfiguration>`;
        await server.done({ method: "PUT", target: `/?intelligent-tiering&id=${id}`, body });
      }
      await setRules(rule(moveAfter(1, "INTELLIGENT_TIERING")));
      await put("cool", BIG, { "x-cos-storage-class": "STANDARD_IA" });
      let cameMs = 0;
      for (let day = 1; cameMs === 0; day++) {
        await to(midnight(day));
        if ((await classOf("cool")) === "INTELLIGENT_TIERING") cameMs = server.clock.now();
      }
      const tier = async () => (await head("cool")).headers.get("x-cos-storage-tier");
      assert.equal(await tier(), "INFREQUENT");
      server.clock.set(cameMs + 90 * DAY_MS - 1);
      assert.equal(await tier(), "INFREQUENT");
      server.clock.advance(1);
      assert.equal(await tier(), "ARCHIVE_ACCESS");
      const refused = await server.send({ method: "GET", target: "/cool" });
      assert.deepEqual(refusalOf(refused), refusal("InvalidObjectState403"));
    });

    it("ends uploads that nobody completes", async () => {
      await setRules(
        rule(
          "<AbortIncompleteMultipartUpload><DaysAfterInitiation>3</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
          prefix("stale"),
        ),
      );
      const begin = async (key: string) =>
        elementOf(await server.done({ method: "POST", target: `/${key}?uploads` }), "UploadId");
      const uploadId = await begin("stale");
      await begin("kept");
      await server.done({ method: "PUT", target: `/stale?partNumber=1&uploadId=${uploadId}`, body: "x" });
      const keys = async () =>
        [...(await server.done({ method: "GET", target: "/?uploads" })).text.matchAll(/<Key>(.*?)</g)].map(
          ([, key]) => key,
        );
      await to(midnight(4));
      assert.deepEqual(await keys(), ["kept", "stale"]);
      await to(midnight(5));
      assert.deepEqual(await keys(), ["kept"]);
      assert.equal((await task.statistics())["uploadsAborted"], 1);
    });
  });

  describe("at work where something cannot be read", () => {
    /** A server, with what its rows are in and what the task reported. */
    const opened = async () => {
      const disk = memoryDisk();
      server = await timedServer(START, { disk });
      const reports: unknown[] = [];
      task = lifecycleTask(server.store, { report: (error) => reports.push(error) });
      await task.runDue(START);
      return { disk, metadata: (await disk.open()).metadata, reports };
    };
    const change = async (metadata: MetadataEngine, row: Buffer, next: (value: Buffer) => Buffer) => {
      const [[found] = []] = await metadata.read([pointRange(row)]);
      assert.ok(found);
      await metadata.commit([], [{ key: row, value: next(found.value) }]);
    };
    const cut = (value: Buffer): Buffer => value.subarray(0, -5);

    it("passes over records that are damaged, told once a pass, and does the rest", async () => {
      const { metadata, reports } = await opened();
      await setRules(rule(expireAfter(1)));
      for (const key of ["a", "b", "c", "d"]) await put(key);
      for (const key of ["a", "c"]) await change(metadata, objectKey(server.bucketId, key), cut);
      await to(midnight(3));
      assert.deepEqual([await classOf("b"), await classOf("d")], ["gone", "gone"]);
      assert.equal(reports.length, 1);
      assert.match(String((reports[0] as Error).cause), /RecordDamaged/);
      assert.equal((await task.statistics())["skipped"], 2);
      await to(midnight(4));
      assert.equal(reports.length, 2);
    });

    it("passes over tags that are damaged", async () => {
      const { metadata, reports } = await opened();
      const tagged = `<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>`;
      await setRules(rule(expireAfter(1), tagged));
      for (const key of ["a", "b"]) await put(key, "bytes", { "x-cos-tagging": "k=v" });
      await change(metadata, objectKey(server.bucketId, "a"), (value) => {
        const record = decodeObject(value);
        const sections = record.sections.map(({ tag, bytes }) => ({ tag, bytes: cut(bytes) }));
        return encodeObject({ ...record, sections });
      });
      await to(midnight(3));
      assert.deepEqual([await classOf("b"), reports.length], ["gone", 1]);
    });

    it("passes over a bucket whose rules are damaged", async () => {
      const { disk, metadata, reports } = await opened();
      await setRules(rule(expireAfter(1)));
      await put("a");
      const row = configurationKey(server.bucketId, "lifecycle");
      await change(metadata, row, (value) => {
        const { revision } = decodeConfiguration(value);
        return encodeConfiguration({ revision, document: Buffer.from("{") });
      });
      // Another process, which does not remember the rules as they were.
      const other = await openOn(await disk.open(), { clock: server.clock });
      task = lifecycleTask(other, { report: (error) => reports.push(error) });
      await to(midnight(3));
      assert.equal(reports.length, 2);
      assert.ok((await task.statistics())["doneMs"] === midnight(3));
    });
  });

  describe("at work where there are versions", () => {
    const noncurrent = (days: number) =>
      `<NoncurrentVersionExpiration><NoncurrentDays>${days}</NoncurrentDays></NoncurrentVersionExpiration>`;
    const MARKERS = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>";

    for (const [when, lateMs] of [
      ["", 0],
      [", also where it comes late", HOUR_MS],
    ] as const) {
      it(`hides what expires behind a delete marker, and counts the age of versions from that midnight${when}`, async () => {
        await enableVersioning();
        await setRules(rule(expireAfter(1) + noncurrent(2)));
        await put("k");
        await to(midnight(3) - 1);
        server.clock.set(midnight(3) + lateMs);
        await task.runDue(server.clock.now());
        assert.deepEqual(await versions(), ["k marker", "k 5"]);
        const listed = await server.done({ method: "GET", target: "/?versions" });
        assert.equal(elementOf(listed, "LastModified"), new Date(midnight(3)).toISOString());
        await to(midnight(5) - 1);
        assert.deepEqual(await versions(), ["k marker", "k 5"]);
        await to(midnight(5));
        assert.deepEqual(await versions(), ["k marker"]);
        // What hid it goes with the next pass: nothing is left to hide.
        await to(midnight(6));
        assert.deepEqual(await versions(), []);
      });
    }

    it("replaces the null version by a null marker while versioning is suspended", async () => {
      await put("k");
      await enableVersioning("Suspended");
      await setRules(rule(expireAfter(1)));
      await to(midnight(5));
      assert.deepEqual(await versions(), ["k marker"]);
      assert.equal(elementOf(await server.done({ method: "GET", target: "/?versions" }), "VersionId"), "null");
    });

    it("removes and moves older versions by when they were superseded, and keeps the current one", async () => {
      await enableVersioning();
      await setRules(
        rule(
          "<NoncurrentVersionTransition><NoncurrentDays>1</NoncurrentDays><StorageClass>ARCHIVE</StorageClass></NoncurrentVersionTransition>" +
            noncurrent(3),
        ),
      );
      await put("k", BIG);
      await to(midnight(10));
      await put("k", BIG.subarray(1));
      await put("k", "now");
      await to(midnight(11));
      assert.deepEqual(await versions(), ["k 3", "k 65535", "k 65536 ARCHIVE"]);
      await to(midnight(13) - 1);
      assert.equal((await versions()).length, 3);
      await to(midnight(13));
      assert.deepEqual(await versions(), ["k 3"]);
      await to(midnight(30));
      assert.deepEqual(await versions(), ["k 3"]);
    });

    it("sec_S-10.5: removes a delete marker only where it hides nothing", async () => {
      await enableVersioning();
      await setRules(rule(MARKERS));
      await put("hides");
      for (const key of ["hides", "alone", "covered"]) await server.done({ method: "DELETE", target: `/${key}` });
      await put("covered");
      await to(midnight(5));
      assert.deepEqual(await versions(), ["covered 5", "covered marker", "hides marker", "hides 5"]);
    });

    it("leaves locked versions alone, current and older ones, and does to them later what was due", async () => {
      await enableVersioning();
      const lock =
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Days>10</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
      await server.done({ method: "PUT", target: "/?object-lock", body: lock });
      await setRules(rule(moveAfter(1, "ARCHIVE") + expireAfter(3) + noncurrent(1)));
      await put("k", BIG);
      await put("k", BIG);
      await to(midnight(10));
      assert.deepEqual(await versions(), ["k 65536", "k 65536"]);
      assert.equal((await task.statistics())["skipped"], 2);
      await to(midnight(12));
      assert.deepEqual(await versions(), ["k marker", "k 65536"]);
      await to(midnight(14));
      assert.deepEqual(await versions(), []);
    });

    it("removes older delete markers as the versions they are", async () => {
      await enableVersioning();
      await setRules(rule(noncurrent(2)));
      await server.done({ method: "DELETE", target: "/k" });
      server.clock.set(midnight(5));
      await put("k");
      await to(midnight(7) - 1);
      assert.deepEqual(await versions(), ["k 5", "k marker"]);
      await to(midnight(7));
      assert.deepEqual(await versions(), ["k 5"]);
    });
  });
});
