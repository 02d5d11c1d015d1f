import assert from "node:assert/strict";
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, it } from "vitest";
import { LIMITS } from "../limits.ts";
import { loadSettings, type SettingsOrigin } from "./load-settings.ts";
import { REGIONS } from "./places.ts";
import { DEVELOPMENT_SECRET_ID, DEVELOPMENT_SECRET_KEY, SETTING_NAMES, SETTINGS } from "./settings.ts";
import { LAYER } from "./settings-schema.ts";

const folders: string[] = [];
function folder(yaml?: string): string {
  const made = mkdtempSync(path.join(tmpdir(), "cosbox-settings-"));
  folders.push(made);
  if (yaml !== undefined) writeFileSync(path.join(made, "cosbox.yaml"), yaml);
  return made;
}
afterAll(() => {
  for (const made of folders) rmSync(made, { recursive: true });
});

const load = (origin: Partial<SettingsOrigin> & { yaml?: string } = {}) =>
  loadSettings({ cwd: folder(origin.yaml), ...origin });
const refusal = async (origin: Partial<SettingsOrigin> & { yaml?: string }): Promise<string> => {
  try {
    await load(origin);
  } catch (error) {
    assert.equal((error as Error).name, "SettingsError");
    const { message } = error as Error;
    assert.ok(!message.includes("\n"), "one line");
    return message;
  }
  return assert.fail("the settings were accepted");
};
const ownKeys = { COSBOX_SECRET_ID: "AKIDmine0000", COSBOX_SECRET_KEY: "my-own-secret-key" };

describe("loadSettings", () => {
  it("gives the documented defaults when nothing is set", async () => {
    const cwd = folder();
    const { settings, sources, warnings } = await loadSettings({ cwd });
    assert.deepEqual(settings.listen, { host: "127.0.0.1", port: 9000 });
    assert.equal(settings.data, path.join(cwd, ".cosbox"));
    assert.equal(settings.region, "ap-guangzhou");
    assert.equal(settings.appid, "1250000000");
    assert.equal(settings.uin, "100000000001");
    assert.equal(settings.secretId, DEVELOPMENT_SECRET_ID);
    assert.equal(settings.errors, "documented");
    assert.equal(settings.durability, "group");
    assert.deepEqual(settings.limits, LIMITS);
    assert.deepEqual(new Set(sources.values()), new Set(["default"]));
    assert.deepEqual(warnings, []);
  });

  it("has defaults that pass its own checks, though a start without settings does not run them", () => {
    for (const name of SETTING_NAMES) {
      const result = LAYER.safeParse({ [name]: SETTINGS[name].default });
      assert.deepEqual(result.success && result.data, { [name]: SETTINGS[name].default });
    }
    assert.ok(REGIONS.includes(SETTINGS.region.default));
  });

  it("publishes development keys of the real length", () => {
    assert.match(DEVELOPMENT_SECRET_ID, /^AKID[A-Za-z0-9]{32}$/);
    assert.match(DEVELOPMENT_SECRET_KEY, /^[A-Za-z0-9]{32}$/);
  });

  it("takes flags before the environment, that before cosbox.yaml, that before defaults, and says which it was", async () => {
    const { settings, sources } = await load({
      yaml: "# mine\nlisten: 127.0.0.1:1\nappid: 1250000001\n\nuin: '100000000009'\n",
      env: { COSBOX_LISTEN: "127.0.0.1:2", COSBOX_APPID: "1250000002" },
      flags: { listen: "[::1]:3" },
    });
    assert.deepEqual(settings.listen, { host: "::1", port: 3 });
    assert.equal(settings.appid, "1250000002");
    assert.equal(settings.uin, "100000000009");
    assert.equal(sources.get("listen"), "flag --listen");
    assert.equal(sources.get("appid"), "environment COSBOX_APPID");
    assert.equal(sources.get("uin"), "cosbox.yaml:5");
    assert.equal(sources.get("region"), "default");
  });

  it("accepts every setting that has a variable in the environment, and in cosbox.yaml", async () => {
    const values: Record<string, string> = {
      listen: "localhost:9100",
      data: "/srv/cos",
      memory: "yes",
      region: "ap-shanghai",
      regions: "ap-local, ap-other",
      suffix: "cos.local",
      appid: "1250000003",
      uin: "100000000003",
      secretId: "AKIDmine0000",
      secretKey: "my-own-secret-key",
      errors: "observed",
      s3Hosts: "s3.local, files.example",
      bareBuckets: "on",
      strictS3: "true",
      strictSigning: "yes",
      workers: "1",
      profile: "server",
      allowPublic: "true",
      durability: "none",
      tlsCert: "/etc/cert.pem",
      tlsKey: "/etc/key.pem",
      tls: "off",
      admin: "127.0.0.1:9101",
      adminToken: "a-token-of-my-own",
      explainHeader: "off",
      logLevel: "debug",
      seed: "/etc/cosbox-seed.yaml",
      sealKey: "/etc/cosbox.key",
      kmsEndpoint: "https://kms.tencentcloudapi.com",
      kmsRegion: "ap-beijing",
      kmsSecretId: "AKIDofthekms",
      kmsSecretKey: "my-own-kms-secret",
      kmsKeyId: "93866e69-9755-11ef-8e65-52540089bc41",
      limits: "partBytesMin=1024,partsMax=5",
    };
    // A passphrase stands in place of the key file; a test of its own sets it.
    const withVariable = SETTING_NAMES.filter((name) => SETTINGS[name].env !== undefined && name !== "sealPassphrase");
    assert.deepEqual(Object.keys(values).toSorted(), withVariable.toSorted());
    const env = Object.fromEntries(withVariable.map((name) => [SETTINGS[name].env, values[name]]));
    const yaml = Object.entries(values)
      .map(([name, value]) => (name === "limits" ? "limits: { partBytesMin: 1024, partsMax: 5 }" : `${name}: ${value}`))
      .join("\n");

    const fromEnvironment = await load({ env });
    const fromFile = await load({ yaml });
    assert.deepEqual(fromFile.settings, fromEnvironment.settings);
    assert.deepEqual(fromFile.settings.regions, ["ap-local", "ap-other"]);
    assert.equal(fromFile.settings.memory, true);
    assert.equal(fromFile.settings.limits.partBytesMin, 1024);
    assert.equal(fromFile.settings.limits.partsMax, 5);
    assert.equal(fromFile.settings.limits.keyBytesMax, LIMITS.keyBytesMax);
    assert.equal(fromFile.sources.get("limits.partsMax"), `cosbox.yaml:${yaml.split("\n").length}`);
    assert.equal(fromEnvironment.sources.get("limits.partsMax"), "environment COSBOX_LIMITS");
  });

  it("merges limits one by one", async () => {
    const { settings } = await load({
      yaml: "limits:\n  partsMax: 7\n  keyBytesMax: 9\n",
      flags: { limit: "partsMax=8" },
    });
    assert.equal(settings.limits.partsMax, 8);
    assert.equal(settings.limits.keyBytesMax, 9);
  });

  it("resolves paths of the file from its folder, and all others from the working folder", async () => {
    const elsewhere = folder("data: store\n");
    const cwd = folder();
    const file = path.join(elsewhere, "cosbox.yaml");
    assert.equal((await loadSettings({ cwd, file })).settings.data, path.join(elsewhere, "store"));
    assert.equal((await loadSettings({ cwd, flags: { data: "store" } })).settings.data, path.join(cwd, "store"));
  });

  it("gives further key pairs the root account's APPID and UIN unless they name another", async () => {
    const yaml =
      "appid: 1250000007\ncredentials:\n  - {secretId: AKIDsecond00, secretKey: secret-two}\n" +
      "  - {secretId: AKIDthird000, secretKey: secret-three, appid: 1250000099, uin: 100000000099}\n";
    assert.deepEqual((await load({ yaml })).settings.credentials, [
      { secretId: "AKIDsecond00", secretKey: "secret-two", appid: "1250000007", uin: "100000000001" },
      { secretId: "AKIDthird000", secretKey: "secret-three", appid: "1250000099", uin: "100000000099" },
    ]);
  });

  it("treats an empty variable and an empty file as not set", async () => {
    const { settings } = await load({ yaml: "", env: { COSBOX_LISTEN: "" } });
    assert.equal(settings.listen.port, 9000);
  });
});

describe("a setting that cannot stand", () => {
  it.each([
    [
      "listen: 9000\n",
      "cosbox.yaml:1: listen: expected host:port with a port from 0 to 65535, such as 127.0.0.1:9000 or [::1]:9000, found 9000",
    ],
    ["\n\nworkers: 0\n", "cosbox.yaml:3: workers: expected a number of processes from 1 to 100, found 0"],
    ["appid: abc\n", 'cosbox.yaml:1: appid: expected 5 to 20 digits, such as 1250000000, found "abc"'],
    ["memory: maybe\n", 'cosbox.yaml:1: memory: expected true or false, found "maybe"'],
    ["errors: strict\n", 'cosbox.yaml:1: errors: expected documented or observed, found "strict"'],
    [
      "# a\nlisten: 127.0.0.1:1\nlimits:\n  keyBytesMax: 850\n  bucketsPerAccount: -1\n",
      "cosbox.yaml:5: limits.bucketsPerAccount: expected a whole number from 1 on, found -1",
    ],
    [
      "limits:\n  headersTimeoutMs: 3000000000\n",
      "cosbox.yaml:2: limits.headersTimeoutMs: expected a whole number from 1 to 2147483647, found 3000000000",
    ],
    [
      "regions:\n  - ap-local\n  - AP_BAD\n",
      'cosbox.yaml:3: regions[1]: expected a region name such as ap-local, found "AP_BAD"',
    ],
    [
      "credentials:\n  - secretId: AKIDsecond00\n    secretKey: short\n",
      "cosbox.yaml:3: credentials[0].secretKey: expected 8 to 128 printable ASCII characters without spaces, found a string that is not shown",
    ],
    ["lisen: 127.0.0.1:1\n", 'cosbox.yaml:1: lisen: unknown setting "lisen"; did you mean listen?'],
    ["limits:\n  part_max: 1\n", 'cosbox.yaml:2: limits.part_max: unknown setting "part_max"; did you mean partsMax?'],
    ["appid: 1250000000\ntls_cert: x\n", 'cosbox.yaml:2: tls_cert: unknown setting "tls_cert"; did you mean tlsCert?'],
    ["wholly: other\n", 'cosbox.yaml:1: wholly: unknown setting "wholly"'],
    ["__proto__: { listen: 1 }\n", 'cosbox.yaml:1: __proto__: unknown setting "__proto__"'],
    ["- a\n", 'cosbox.yaml: expected settings, each as name: value, found ["a"]'],
    [
      "listen: x\nworkers: two\nerrors: y\n",
      'cosbox.yaml:1: listen: expected host:port with a port from 0 to 65535, such as 127.0.0.1:9000 or [::1]:9000, found "x" (and 2 more)',
    ],
  ])("in cosbox.yaml is named with its line: %j", async (yaml, message) => {
    assert.equal(await refusal({ yaml }), message);
  });

  it("names the line where YAML breaks", async () => {
    assert.match(await refusal({ yaml: "listen: 127.0.0.1:1\ndata: 'open\n" }), /^cosbox\.yaml:[23]: expected YAML: /);
    assert.match(await refusal({ yaml: "listen: a:1\nlisten: b:1\n" }), /^cosbox\.yaml:2: expected YAML: /);
    const twoAliases = "regions: &all [ap-one]\nsuffix: *all\ndata: *nowhere\nlogLevel: *all\n";
    assert.match(await refusal({ yaml: twoAliases }), /^cosbox\.yaml:3: expected YAML: .*nowhere/);
  });

  it("names the flag, or the variable", async () => {
    const face = 'expected documented or observed, found "x"';
    assert.equal(await refusal({ flags: { errors: "x" } }), `--errors: ${face}`);
    assert.equal(await refusal({ env: { COSBOX_ERRORS: "x" } }), `COSBOX_ERRORS: ${face}`);
    assert.equal(
      await refusal({ flags: { limit: "bucketsPerAccount=x" } }),
      '--limit (bucketsPerAccount): expected a whole number from 1 on, found "bucketsPerAccount=x"',
    );
    assert.match(
      await refusal({ flags: { limit: "partsMx=1" } }),
      /^--limit \(partsMx\): unknown setting "partsMx"; did you mean partsMax\?$/,
    );
    assert.match(
      await refusal({ flags: { limit: "partsMax" } }),
      /^--limit: expected names and values of limits, such as partBytesMin=1024/,
    );
  });

  it("is found in a weaker layer even when a stronger one replaces it", async () => {
    assert.match(await refusal({ yaml: "listen: x\n", flags: { listen: "127.0.0.1:1" } }), /^cosbox\.yaml:1: listen: /);
  });

  it("never shows a secret key", async () => {
    for (const origin of [{ env: { COSBOX_SECRET_KEY: "has a space" } }, { yaml: "secretKey: has a space\n" }]) {
      assert.ok(!(await refusal(origin)).includes('space"'));
    }
    const kms = await refusal({ env: { COSBOX_KMS_SECRET_KEY: "has a space" } });
    assert.match(kms, /^COSBOX_KMS_SECRET_KEY: expected 8 to 128 .*, found a string that is not shown$/);
  });

  it("names a settings file that is missing or cannot be read", async () => {
    assert.equal(await refusal({ file: "other.yaml" }), "cannot read settings from other.yaml: there is no such file");
    const cwd = folder();
    mkdirSync(path.join(cwd, "cosbox.yaml"));
    assert.equal(await refusal({ cwd }), "cannot read settings from cosbox.yaml: it is a folder, not a file");
  });
});

describe("settings that cannot stand together", () => {
  it("the server profile without keys of one's own", async () => {
    assert.match(await refusal({ flags: { profile: "server" } }), /COSBOX_SECRET_ID and COSBOX_SECRET_KEY$/);
    const env = { COSBOX_SECRET_ID: DEVELOPMENT_SECRET_ID, COSBOX_SECRET_KEY: DEVELOPMENT_SECRET_KEY };
    assert.match(await refusal({ env, flags: { profile: "server" } }), /no published keys/);
    const yaml = `credentials: [{secretId: ${DEVELOPMENT_SECRET_ID}, secretKey: ${DEVELOPMENT_SECRET_KEY}}]\n`;
    assert.match(await refusal({ yaml, env: ownKeys, flags: { profile: "server" } }), /^cosbox\.yaml:1: credentials: /);
    const secretAlone = `credentials: [{secretId: AKIDanother, secretKey: ${DEVELOPMENT_SECRET_KEY}}]\n`;
    const known = await refusal({ yaml: secretAlone, env: ownKeys, flags: { profile: "server" } });
    assert.match(known, /^cosbox\.yaml:1: credentials: /);
    assert.equal((await load({ env: ownKeys, flags: { profile: "server" } })).settings.profile, "server");
  });

  it("a listener beyond loopback without the server profile or the override", async () => {
    const flags = { listen: "0.0.0.0:9000" };
    assert.match(
      await refusal({ flags }),
      /^--listen: 0\.0\.0\.0:9000 can be reached .* --profile server .* --allow-public/,
    );
    assert.match(await refusal({ env: { COSBOX_LISTEN: "[::]:9000" } }), /^COSBOX_LISTEN: \[::\]:9000 can be reached/);
    assert.equal((await load({ flags: { ...flags, allowPublic: true } })).settings.listen.host, "0.0.0.0");
    assert.equal(
      (await load({ flags: { ...flags, profile: "server" }, env: ownKeys })).settings.listen.host,
      "0.0.0.0",
    );
  });

  it("one root key without the other", async () => {
    assert.match(
      await refusal({ env: { COSBOX_SECRET_ID: "AKIDmine0000" } }),
      /^COSBOX_SECRET_ID: .* set COSBOX_SECRET_KEY as well$/,
    );
    assert.match(
      await refusal({ env: { COSBOX_SECRET_KEY: "my-own-key" } }),
      /^COSBOX_SECRET_KEY: .* set COSBOX_SECRET_ID as well$/,
    );
  });

  it("one root key of one's own with the other of the published pair", async () => {
    const told = /: the root keys come as a pair; this one must not be the published one while the other is your own$/;
    const ownId = { COSBOX_SECRET_ID: "AKIDmine0000", COSBOX_SECRET_KEY: DEVELOPMENT_SECRET_KEY };
    const ownKey = { COSBOX_SECRET_ID: DEVELOPMENT_SECRET_ID, COSBOX_SECRET_KEY: "my-own-key" };
    for (const [env, place] of [
      [ownId, "COSBOX_SECRET_KEY"],
      [ownKey, "COSBOX_SECRET_ID"],
    ] as const) {
      const line = await refusal({ env });
      assert.match(line, told);
      assert.ok(line.startsWith(`${place}: `), line);
    }
  });

  it("the same SecretId twice", async () => {
    const yaml = `credentials: [{secretId: ${DEVELOPMENT_SECRET_ID}, secretKey: something-else}]\n`;
    assert.match(await refusal({ yaml }), /is there twice/);
  });

  it("a region nobody knows", async () => {
    assert.match(await refusal({ flags: { region: "ap-guangzou" } }), /^--region: .* did you mean ap-guangzhou\?/);
    assert.equal((await load({ flags: { region: "my-region", regions: "my-region" } })).settings.region, "my-region");
  });

  it("half of a certificate, or two", async () => {
    assert.match(await refusal({ flags: { tlsCert: "c.pem" } }), /^--tls-cert: .* give --tls-key as well$/);
    assert.match(await refusal({ env: { COSBOX_TLS_KEY: "k.pem" } }), /^COSBOX_TLS_KEY: .* give --tls-cert as well$/);
    assert.match(await refusal({ flags: { tlsCert: "c.pem", tlsKey: "k.pem", tls: "dev" } }), /^--tls: /);
  });
});

describe("a remote key management service", () => {
  const endpoint = (url: string): Record<string, string> => ({
    COSBOX_KMS_ENDPOINT: url,
    COSBOX_KMS_SECRET_ID: "AKIDofthekms",
    COSBOX_KMS_SECRET_KEY: "my-own-kms-secret",
  });

  it("is an address without a path, with the key pair it knows this server by", async () => {
    for (const url of [
      "kms.tencentcloudapi.com",
      "https://kms.local/v1",
      "ftp://kms.local",
      "https://me:x@kms.local",
    ]) {
      assert.match(await refusal({ env: endpoint(url) }), /^COSBOX_KMS_ENDPOINT: expected a URL without a path/, url);
    }
    const alone = await refusal({ env: { COSBOX_KMS_ENDPOINT: "https://kms.local" } });
    assert.match(alone, /^COSBOX_KMS_ENDPOINT: .* set COSBOX_KMS_SECRET_ID and COSBOX_KMS_SECRET_KEY$/);
    assert.match(await refusal({ yaml: "kmsKeyId: a\n" }), /^cosbox\.yaml:1: kmsKeyId: there is no KMS /);
  });

  it("is not asked over a network in the clear by a server profile", async () => {
    const flags = { profile: "server" };
    const refused = await refusal({ env: { ...ownKeys, ...endpoint("http://10.0.0.7:8080") }, flags });
    assert.match(refused, /^COSBOX_KMS_ENDPOINT: .* use https$/);
    for (const [url, more] of [
      ["http://127.0.0.1:8080", { flags }],
      ["http://[::1]:8080", { flags }],
      ["https://10.0.0.7", { flags }],
      ["http://kms:8080", {}],
    ] as const) {
      const { settings } = await load({ env: { ...ownKeys, ...endpoint(url) }, ...more });
      assert.equal(settings.kmsEndpoint, url);
    }
  });
});

describe("accounts in cosbox.yaml", () => {
  const lines = (...more: string[]): string => ["accounts:", "  - uin: 100000000005", ...more].join("\n");
  const appid = "    appid: 1250000005";

  it("are complete where little is said", async () => {
    const { settings } = await load({ yaml: lines(appid) });
    const nothing = { name: "", keys: [], policies: [], groups: [], users: [], roles: [] };
    assert.deepEqual(settings.accounts, [{ uin: "100000000005", appid: "1250000005", ...nothing }]);
  });

  it("take policies as YAML and as JSON, and the APPID of accounts that keys stand for", async () => {
    const yaml = [
      "accounts:",
      "  - uin: 100000000001",
      "    policies:",
      "      - name: all",
      "        document: {version: '2.0', statement: {effect: allow, action: '*', resource: '*'}}",
      "      - name: none",
      `        document: '{"version":"2.0","statement":{"effect":"deny","action":"*","resource":"*"}}'`,
      "    users: [{uin: 100000000011, policies: [all, none]}]",
    ].join("\n");
    const [account] = (await load({ yaml })).settings.accounts;
    assert.equal(account?.appid, "1250000000");
    for (const { document } of account?.policies ?? []) assert.equal(JSON.parse(document).version, "2.0");
  });

  it.each([
    ["no UIN", ["accounts:", "  - appid: 1250000005"], /^cosbox\.yaml:2: accounts\[0\]\.uin: expected 5 to 20 digits/],
    ["no APPID", [lines()], /^cosbox\.yaml:1: accounts: account 100000000005 has no appid/],
    [
      "a fault in a policy",
      [
        lines(
          appid,
          "    policies:",
          "      - name: x",
          "        document: {version: '2.0', statement: {effect: may}}",
        ),
      ],
      /^cosbox\.yaml:6: accounts\[0\]\.policies\[0\]\.document: expected a policy in CAM's grammar \(Statement\[0\]\.Effect: expected allow or deny\), found \{/,
    ],
    [
      "a principal in a user's policy",
      [
        lines(
          appid,
          "    policies:",
          "      - name: x",
          "        document: {version: '2.0', statement: {effect: allow, action: '*', resource: '*', principal: '*'}}",
        ),
      ],
      /names no Principal/,
    ],
    [
      "a policy that is not there",
      [lines(appid, "    users:", "      - uin: 100000000051", "        policies:", "          - nothing")],
      /^cosbox\.yaml:7: accounts\[0\]\.users\[0\]\.policies\[0\]: expected the name of one of this account's policies, found "nothing"$/,
    ],
    [
      "a group that is not there",
      [lines(appid, "    users: [{uin: 100000000051, groups: [nothing]}]")],
      /^cosbox\.yaml:4: .*expected the name of one of this account's groups/,
    ],
    [
      "a trust with a resource",
      [
        lines(
          appid,
          "    roles:",
          "      - name: x",
          "        trust: {version: '2.0', statement: {effect: allow, action: '*', resource: '*', principal: '*'}}",
        ),
      ],
      /^cosbox\.yaml:6: .*who may take the role on \(Statement\[0\]\.Resource: /,
    ],
    [
      "a name nobody knows",
      [lines(appid, "    usrs: []")],
      /^cosbox\.yaml:4: .* unknown setting "usrs"; did you mean users\?/,
    ],
    [
      "a secret that is too short, without showing it",
      [lines(appid, "    keys: [{secretId: AKID00000000, secretKey: short}]")],
      /^cosbox\.yaml:4: .*secretKey: expected 8 to 128 printable .* found a string that is not shown$/,
    ],
    [
      "a SecretId twice",
      [lines(appid, `    keys: [{secretId: ${DEVELOPMENT_SECRET_ID}, secretKey: something-else}]`)],
      /development keys are the root account's alone/,
    ],
    [
      "an APPID twice",
      [lines("    appid: 1250000000")],
      /APPID 1250000000 is that of account 100000000001 and of 100000000005$/,
    ],
    [
      "a UIN twice",
      [lines(appid, "    users: [{uin: 100000000005}]")],
      /^cosbox\.yaml:1: accounts: UIN 100000000005 is there twice/,
    ],
  ])("are refused with %s", async (_, yaml, expected) => {
    assert.match(await refusal({ yaml: yaml.join("\n") }), expected);
  });

  it("are sealed with a file outside of the data folder, or with a passphrase", async () => {
    assert.match(await refusal({ flags: { sealKey: ".cosbox/key" } }), /^--seal-key: .* lies in the data folder/);
    const env = { COSBOX_SEAL_PASSPHRASE: "a long passphrase", COSBOX_SEAL_KEY: "k" };
    assert.match(await refusal({ env }), /^COSBOX_SEAL_KEY: .* leave out either$/);
    const short = await refusal({ env: { COSBOX_SEAL_PASSPHRASE: "short-one" } });
    assert.match(short, /^COSBOX_SEAL_PASSPHRASE: expected a passphrase of 12 .* that is not shown$/);
  });
});

describe("the number of processes", () => {
  const defaults = { workers: 4 };

  it("is what the caller takes for the default, but one where everything is kept in memory", async () => {
    assert.equal((await load({ defaults })).settings.workers, 4);
    assert.equal((await load({ defaults, flags: { memory: true } })).settings.workers, 1);
    assert.equal((await load({})).settings.workers, 1);
  });

  it("cannot be more than one in memory", async () => {
    assert.equal(
      await refusal({ flags: { memory: true, workers: "2" } }),
      "--workers: 2 processes cannot share what --memory keeps in one; leave out either of the two",
    );
    assert.equal((await load({ flags: { memory: true, workers: "1" } })).settings.workers, 1);
  });
});

describe("the environment", () => {
  it("warns of a misspelt variable, and leaves those of others alone", async () => {
    const { warnings } = await load({ env: { COSBOX_LISTN: "x", COSBOX_SERVICE_HOST: "10.0.0.1", PATH: "/bin" } });
    assert.deepEqual(warnings, ["COSBOX_LISTN is not a setting; did you mean COSBOX_LISTEN?"]);
  });
});
