import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { loadSettings } from "../config/load-settings.ts";
import { DEVELOPMENT_SECRET_ID, DEVELOPMENT_SECRET_KEY } from "../config/settings.ts";
import { banner } from "./banner.ts";

async function printed(
  origin: { flags?: Record<string, unknown>; env?: Record<string, string>; caPath?: string } = {},
) {
  const { caPath, ...rest } = origin;
  const { settings } = await loadSettings({ cwd: "/srv/work", file: false, ...rest });
  const { host } = settings.listen;
  return banner({ settings, host, port: 9321, version: "1.2.3", ...(caPath === undefined ? {} : { caPath }) });
}

describe("the banner", () => {
  it("gives the endpoint, the development keys, APPID, region and data folder", async () => {
    const text = await printed();
    for (const fact of [
      "cosbox 1.2.3 listens on http://127.0.0.1:9321",
      DEVELOPMENT_SECRET_ID,
      DEVELOPMENT_SECRET_KEY,
      "1250000000",
      "ap-guangzhou",
      "/srv/work/.cosbox",
    ]) {
      assert.ok(text.includes(fact), fact);
    }
    assert.ok(text.endsWith("\n"));
    assert.ok(Math.max(...text.split("\n").map((line) => line.length)) <= 110, "fits a terminal");
  });

  it("has settings to paste for Node.js, Python, Go and coscli, each with the address and the keys", async () => {
    const text = await printed();
    const parts = text.split(/^(?=Node\.js|Python|Go,|coscli)/m).slice(1);
    assert.deepEqual(
      parts.map((part) => part.split(",", 1)[0]?.split("\n", 1)[0]),
      ["Node.js", "Python", "Go", "coscli"],
    );
    for (const part of parts) {
      for (const fact of ["http://127.0.0.1:9321", DEVELOPMENT_SECRET_ID, DEVELOPMENT_SECRET_KEY])
        assert.ok(part.includes(fact), part);
    }
  });

  it("never shows keys of one's own", async () => {
    const text = await printed({ env: { COSBOX_SECRET_ID: "AKIDmine0000", COSBOX_SECRET_KEY: "my-own-secret-key" } });
    assert.ok(!text.includes("my-own-secret-key"));
    assert.ok(text.includes("AKIDmine0000"));
  });

  it("names an address that works for a listener on every interface, and IPv6 in brackets", async () => {
    assert.match(
      await printed({ flags: { listen: "0.0.0.0:1", allowPublic: true } }),
      /Proxy: "http:\/\/127\.0\.0\.1:9321"/,
    );
    assert.match(await printed({ flags: { listen: "[::1]:1" } }), /Proxy: "http:\/\/\[::1\]:9321"/);
  });

  it("shows the HTTPS ways and the authority to trust with --tls dev", async () => {
    const text = await printed({ flags: { tls: "dev" }, caPath: "/srv/work/.cosbox/tls/ca.pem" });
    assert.match(text, /listens on https:\/\/127\.0\.0\.1:9321/);
    assert.match(text, /Protocol: "https:", Ip: "127\.0\.0\.1:9321"/);
    assert.match(text, /NODE_EXTRA_CA_CERTS=\/srv\/work\/\.cosbox\/tls\/ca\.pem/);
    assert.ok(!text.includes("http://"));
  });
});
