import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, get } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, it } from "vitest";
import { loadSettings } from "../../config/load-settings.ts";
import type { Settings } from "../../config/settings.ts";
import type { Clock } from "../../ports/clock.ts";
import { manualClock } from "../clock/manual.ts";
import { developmentCaPath } from "./ca-path.ts";
import { developmentAuthority, serverCertificate } from "./development-authority.ts";
import { certificateNames, loadTls, type TlsEvents, type TlsPair } from "./load-tls.ts";
import { issueCertificate } from "./x509.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const NOW = Date.parse("2026-03-01T12:00:00Z");

const folders: string[] = [];
function folder(): string {
  const made = mkdtempSync(path.join(tmpdir(), "cosbox-tls-"));
  folders.push(made);
  return made;
}
afterAll(() => {
  for (const made of folders) rmSync(made, { recursive: true });
});

async function settingsWith(flags: Record<string, unknown>): Promise<Settings> {
  return (await loadSettings({ cwd: folder(), file: false, flags })).settings;
}

/** What a client that trusts `ca` gets from `pair` when it asks for `name`: 200, or the code of its refusal. */
async function ask(pair: TlsPair, ca: string, name: string): Promise<number | string> {
  const server = createServer({ cert: pair.cert, key: pair.key }, (_request, response) => void response.end("ok"));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  const options = { host: "127.0.0.1", port, servername: name, ca, agent: false as const, headers: { host: name } };
  try {
    return await new Promise((answered) => {
      get(options, (response) => answered(response.resume().statusCode ?? 0)).on("error", (error) =>
        answered(String((error as NodeJS.ErrnoException).code)),
      );
    });
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

describe("the local authority", () => {
  it("is made once, is kept, and only its certificate can be read by others", () => {
    const data = folder();
    const first = developmentAuthority(data, NOW);
    const second = developmentAuthority(data, NOW + DAY_MS);
    assert.equal(second.certificate, first.certificate);
    assert.equal(readFileSync(developmentCaPath(data), "utf8"), first.certificate);
    assert.deepEqual(readdirSync(path.join(data, "tls")).toSorted(), ["authority.pem", "ca.pem"]);
    assert.equal(statSync(path.join(data, "tls", "authority.pem")).mode & 0o077, 0);
    assert.ok(!readFileSync(developmentCaPath(data), "utf8").includes("PRIVATE"));
  });

  it("is replaced before a server certificate would outlive it", () => {
    const data = folder();
    const first = developmentAuthority(data, NOW);
    const later = developmentAuthority(data, NOW + 9.5 * 365 * DAY_MS);
    assert.notEqual(later.certificate, first.certificate);
    assert.equal(readFileSync(developmentCaPath(data), "utf8"), later.certificate);
  });

  it("says which file to remove when it is damaged", () => {
    const data = folder();
    mkdirSync(path.join(data, "tls"));
    writeFileSync(path.join(data, "tls", "authority.pem"), "not a certificate");
    assert.throws(() => developmentAuthority(data, NOW), {
      name: "SettingsError",
      message: /authority\.pem is damaged \(.*\); remove the file/,
    });
  });

  it("says so when its folder cannot be made", () => {
    const data = path.join(folder(), "file");
    writeFileSync(data, "");
    assert.throws(() => developmentAuthority(data, NOW), {
      name: "SettingsError",
      message: /^cannot keep the local authority in /,
    });
  });
});

describe("certificates", () => {
  it("are in force from a day ago for 390 days, and longer than that for the authority", () => {
    const authority = developmentAuthority(folder(), NOW);
    const leaf = new X509Certificate(serverCertificate(authority, ["localhost"], NOW).cert);
    assert.equal(Date.parse(leaf.validFrom), NOW - DAY_MS);
    assert.equal(Date.parse(leaf.validTo), NOW + 390 * DAY_MS);
    assert.equal(Date.parse(new X509Certificate(authority.certificate).validTo), NOW + 3650 * DAY_MS);
    assert.equal(leaf.ca, false);
    assert.equal(new X509Certificate(authority.certificate).ca, true);
    assert.ok(leaf.verify(new X509Certificate(authority.certificate).publicKey));
  });

  it("carry names and addresses as they were given, IPv6 in every spelling", () => {
    const authority = developmentAuthority(folder(), NOW);
    const names = ["a.example", "*.b.example", "127.0.0.1", "::1", "fe80::1:2", "2001:db8:1:2:3:4:5:6", "::"];
    const leaf = new X509Certificate(serverCertificate(authority, names, NOW).cert);
    assert.equal(
      leaf.subjectAltName,
      "DNS:a.example, DNS:*.b.example, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, " +
        "IP Address:FE80:0:0:0:0:0:1:2, IP Address:2001:DB8:1:2:3:4:5:6, IP Address:0:0:0:0:0:0:0:0",
    );
  });

  it("have times beyond 2049, and serial numbers that differ", () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const facts = { subject: "s", issuer: "s", publicKey, signingKey: privateKey, notBefore: NOW };
    const far = new X509Certificate(issueCertificate({ ...facts, notAfter: Date.parse("2051-02-03T04:05:06Z") }));
    const near = new X509Certificate(issueCertificate({ ...facts, notAfter: Date.parse("2049-02-03T04:05:06Z") }));
    assert.equal(Date.parse(far.validTo), Date.parse("2051-02-03T04:05:06Z"));
    assert.equal(Date.parse(near.validTo), Date.parse("2049-02-03T04:05:06Z"));
    assert.notEqual(far.serialNumber, near.serialNumber);
  });

  it("satisfy OpenSSL's strict reading of the standard", ({ skip }) => {
    try {
      execFileSync("openssl", ["version"], { stdio: "ignore" });
    } catch {
      skip("openssl is not installed here");
    }
    const data = folder();
    const authority = developmentAuthority(data, Date.now());
    const leaf = path.join(data, "leaf.pem");
    writeFileSync(leaf, serverCertificate(authority, ["demo.example", "::1"], Date.now()).cert);
    const verify = ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", developmentCaPath(data)];
    const seen = execFileSync("openssl", [...verify, "-verify_hostname", "demo.example", leaf], { encoding: "utf8" });
    assert.equal(seen, `${leaf}: OK\n`);
  });
});

describe("--tls dev", () => {
  it("gives a certificate that a client accepts for every way in, and for no other name", async () => {
    const settings = await settingsWith({ tls: "dev", memory: true, suffix: "cos.local", regions: "ap-mine" });
    const tls = await loadTls(settings, manualClock(NOW), { onReload: () => assert.fail("nothing changed") });
    assert.ok(tls?.caPath !== undefined);
    tls.close();
    const ca = readFileSync(tls.caPath, "utf8");
    for (const name of [
      "localhost",
      "demo-1250000000.cos.ap-guangzhou.myqcloud.com",
      "cos.ap-shanghai.tencentcos.cn",
      "service.cos.myqcloud.com",
      "demo-1250000000.cos.ap-mine.cos.local",
      "demo-1250000000.cos.accelerate.myqcloud.com",
    ]) {
      assert.equal(await ask(tls, ca, name), 200, name);
    }
    assert.equal(await ask(tls, ca, "www.example.com"), "ERR_TLS_CERT_ALTNAME_INVALID");
    const stranger = developmentAuthority(folder(), Date.now()).certificate;
    assert.match(String(await ask(tls, stranger, "localhost")), /UNABLE_TO_VERIFY|SELF_SIGNED/);
  });

  it("names the host it listens on when that is not loopback", async () => {
    const flags = { tls: "dev", allowPublic: true };
    assert.ok(certificateNames(await settingsWith({ ...flags, listen: "192.168.7.7:1" })).includes("192.168.7.7"));
    assert.ok(certificateNames(await settingsWith({ ...flags, listen: "cos.example:1" })).includes("cos.example"));
    assert.ok(!certificateNames(await settingsWith({ ...flags, listen: "0.0.0.0:1" })).includes("0.0.0.0"));
  });
});

describe("--tls-cert and --tls-key", () => {
  function pairIn(data: string): TlsPair {
    const { cert, key } = serverCertificate(developmentAuthority(data, Date.now()), ["localhost"], Date.now());
    return { cert, key };
  }
  async function placed() {
    const data = folder();
    const first = pairIn(data);
    const [tlsCert, tlsKey] = [path.join(data, "cert.pem"), path.join(data, "key.pem")];
    writeFileSync(tlsCert, first.cert);
    writeFileSync(tlsKey, first.key);
    return { data, first, tlsCert, tlsKey, settings: await settingsWith({ tlsCert, tlsKey }) };
  }
  const ignore: TlsEvents = { onReload: () => undefined };

  it("serves the pair of the files", async () => {
    const { first, settings, data } = await placed();
    const tls = await loadTls(settings, manualClock(NOW), ignore);
    assert.ok(tls !== undefined);
    tls.close();
    assert.deepEqual([tls.cert, tls.key, tls.caPath], [first.cert, first.key, undefined]);
    assert.equal(await ask(tls, readFileSync(developmentCaPath(data), "utf8"), "localhost"), 200);
  });

  it("says in one line which file is missing, empty or of another pair", async () => {
    const { data, tlsCert, tlsKey } = await placed();
    const other = path.join(data, "other.pem");
    const load = async (flags: Record<string, string>) => loadTls(await settingsWith(flags), manualClock(NOW), ignore);
    const absent = path.join(data, "absent.pem");
    await assert.rejects(load({ tlsCert: absent, tlsKey }), {
      name: "SettingsError",
      message: `--tls-cert: cannot read ${absent}: there is no such file`,
    });
    writeFileSync(other, "");
    await assert.rejects(
      load({ tlsCert: other, tlsKey }),
      /^SettingsError: --tls-cert: .*other\.pem holds no certificate; .*$/,
    );
    await assert.rejects(
      load({ tlsCert, tlsKey: other }),
      /^SettingsError: --tls-key: .*other\.pem holds no private key .*$/,
    );
    writeFileSync(other, pairIn(data).key);
    await assert.rejects(
      load({ tlsCert, tlsKey: other }),
      /^SettingsError: --tls-key: .*other\.pem is not the key of the certificate in .*$/,
    );
  });

  it("passes on a new pair when the files change, keeps the old one while they do not fit, and tells that once", async () => {
    const { data, tlsCert, tlsKey, settings } = await placed();
    const manual = manualClock(NOW);
    const armed: number[] = [];
    const clock: Clock = {
      ...manual,
      after: (ms, task) => {
        armed.push(ms);
        return manual.after(ms, task);
      },
    };
    const reloaded: TlsPair[] = [];
    const refused: string[] = [];
    const tls = await loadTls(settings, clock, {
      onReload: (pair) => reloaded.push(pair),
      onRefused: (why) => refused.push(why),
    });
    /** Lets the next look happen; it is over when the one after it is set. */
    const look = async () => {
      const before = armed.length;
      manual.advance(2000);
      while (armed.length === before) await new Promise((resolve) => setImmediate(resolve));
    };
    await look();
    assert.deepEqual([reloaded, refused], [[], []]);

    const next = pairIn(data);
    writeFileSync(tlsCert, next.cert);
    await look();
    assert.deepEqual([reloaded, refused], [[], []], "half a change is not reported at once");
    await look();
    await look();
    assert.equal(reloaded.length, 0);
    assert.equal(refused.length, 1);
    assert.match(refused[0] ?? "", /^--tls-key: .* is not the key of the certificate in /);

    writeFileSync(tlsKey, next.key);
    await look();
    assert.deepEqual(reloaded, [next]);

    const before = armed.length;
    tls?.close();
    manual.advance(60_000);
    assert.equal(armed.length, before, "nothing is looked at after close");
  });
});

it("plain HTTP needs no certificate", async () => {
  assert.equal(await loadTls(await settingsWith({}), manualClock(NOW), { onReload: () => undefined }), undefined);
});
