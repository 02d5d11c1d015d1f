import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, it } from "vitest";
import { REGIONS } from "../config/places.ts";
import { CosError } from "../errors/cos-error.ts";
import { parseTarget } from "../http/target.ts";
import { type CosAddress, addressingRules, readAddress, signedPaths } from "./address.ts";

const RULES = addressingRules({ regions: [...REGIONS, "my-region"], suffixes: ["cos.local", "storage.test"] });
const STRICT = addressingRules({ regions: REGIONS, unknownHosts: "refuse" });

/** One line for an address, or the id of the refusal. */
function read(host: string | undefined, path = "/", rules = RULES): string {
  let address: CosAddress;
  try {
    address = readAddress(parseTarget("GET", path, host), rules);
  } catch (error) {
    assert.ok(error instanceof CosError, String(error));
    return error.id;
  }
  if (address.kind === "other") return `other ${address.feature}`;
  if (address.kind === "service") return `service ${address.scope} ${address.region ?? "-"}`;
  const key = address.kind === "object" ? ` ${address.key}` : "";
  return `${address.style} ${address.region ?? "-"} ${address.bucket}${key}`;
}

const GZ = "cos.ap-guangzhou.myqcloud.com";
const LONG = "a".repeat(64);

describe("an address", () => {
  const rows: [host: string | undefined, path: string, meaning: string][] = [
    // Buckets by host.
    [`demo-125.${GZ}`, "/", "host ap-guangzhou demo-125"],
    [`demo-125.${GZ}`, "/a/b.txt", "host ap-guangzhou demo-125 a/b.txt"],
    [`demo-125.${GZ}:9000`, "/a", "host ap-guangzhou demo-125 a"],
    [`demo-125.${GZ}.`, "/a", "host ap-guangzhou demo-125 a"],
    [`demo-125.${GZ}.:80`, "/a", "host ap-guangzhou demo-125 a"],
    [`DEMO-125.COS.AP-Guangzhou.MyQCloud.com`, "/A", "host ap-guangzhou demo-125 A"],
    [`a-b-1-125.${GZ}`, "/", "host ap-guangzhou a-b-1-125"],
    [`1-2.${GZ}`, "/", "host ap-guangzhou 1-2"],
    ["demo-125.cos.ap-shanghai.tencentcos.cn", "/", "host ap-shanghai demo-125"],
    ["demo-125.cos-internal.ap-shanghai.tencentcos.cn", "/", "host ap-shanghai demo-125"],
    ["demo-125.cos-internal.ap-shanghai.myqcloud.com", "/", "host ap-shanghai demo-125"],
    ["demo-125.cos.my-region.myqcloud.com", "/", "host my-region demo-125"],
    ["demo-125.cos.ap-guangzhou.localhost:9000", "/k", "host ap-guangzhou demo-125 k"],
    ["demo-125.cos.ap-guangzhou.cos.local", "/k", "host ap-guangzhou demo-125 k"],
    ["demo-125.cos.ap-guangzhou.storage.test", "/k", "host ap-guangzhou demo-125 k"],
    ["demo-125.cos.localhost", "/k", "host - demo-125 k"],
    ["demo-125.cos.local:9000", "/k", "host - demo-125 k"],
    ["demo-125.localhost:9000", "/k", "host - demo-125 k"],
    ["demo-125.storage.test", "/", "host - demo-125"],
    ["demo-125.cn-south.myqcloud.com", "/k", "host ap-guangzhou demo-125 k"],
    ["demo-125.cn-north.myqcloud.com", "/k", "host ap-beijing-1 demo-125 k"],
    ["demo-125.sg.myqcloud.com", "/", "host ap-singapore demo-125"],
    ["demo-125.cosgz.myqcloud.com", "/", "host ap-guangzhou demo-125"],
    // Keys by host: verbatim, and never a listing.
    [`demo-125.${GZ}`, "//", "host ap-guangzhou demo-125 /"],
    [`demo-125.${GZ}`, "///", "host ap-guangzhou demo-125 //"],
    [`demo-125.${GZ}`, "/./", "host ap-guangzhou demo-125 ./"],
    [`demo-125.${GZ}`, "/a/..", "host ap-guangzhou demo-125 a/.."],
    [`demo-125.${GZ}`, "/%2e%2e%2fx", "host ap-guangzhou demo-125 ../x"],
    [`demo-125.${GZ}`, "/%2F", "host ap-guangzhou demo-125 /"],
    [`demo-125.${GZ}`, "/%E6%8A%A5", "host ap-guangzhou demo-125 报"],
    [`demo-125.${GZ}`, "/other-125/k", "host ap-guangzhou demo-125 other-125/k"],
    [`demo-125.${GZ}`, "/?prefix=a", "host ap-guangzhou demo-125"],
    // The service.
    ["service.cos.myqcloud.com", "/", "service all -"],
    ["service.cos.tencentcos.cn", "/", "service all -"],
    ["service.cos.localhost:9000", "/", "service all -"],
    [GZ, "/", "service region ap-guangzhou"],
    ["cos.ap-guangzhou.localhost:9000", "/", "service region ap-guangzhou"],
    ["cos-internal.ap-beijing.myqcloud.com", "/", "service region ap-beijing"],
    ["cn-east.myqcloud.com", "/", "service region ap-shanghai"],
    ["127.0.0.1:9000", "/", "service all -"],
    ["[::1]:9000", "/", "service all -"],
    ["localhost:9000", "/", "service all -"],
    ["localhost", "/?max-keys=1", "service all -"],
    ["cos.localhost", "/", "service all -"],
    ["cosbox:9000", "/", "service all -"],
    ["host.docker.internal:9000", "/", "service all -"],
    ["console.localhost", "/", "service all -"],
    [undefined, "/", "service all -"],
    // Path style.
    [GZ, "/demo-125/k", "path ap-guangzhou demo-125 k"],
    [GZ, "/demo-125/", "path ap-guangzhou demo-125"],
    [GZ, "/demo-125", "path ap-guangzhou demo-125"],
    ["127.0.0.1:9000", "/demo-125/a//b", "path - demo-125 a//b"],
    ["127.0.0.1:9000", "/demo-125//", "path - demo-125 /"],
    ["[::1]", "/demo-125/k", "path - demo-125 k"],
    ["localhost:9000", "/demo-125%2Fk", "path - demo-125 k"],
    ["storage.test", "/demo-125/k", "path - demo-125 k"],
    ["service.cos.myqcloud.com", "/demo-125/k", "path - demo-125 k"],
    [undefined, "/demo-125/k", "path - demo-125 k"],
    ["127.0.0.1", `http://127.0.0.1/demo-125/k`, "path - demo-125 k"],
    [`demo-125.${GZ}`, `http://demo-125.${GZ}/k`, "host ap-guangzhou demo-125 k"],
    // Hosts that only look like ours.
    [`victim-125.${GZ}.evil.tld`, "/", "service all -"],
    ["victim-125.cos.ap-guangzhou.evil.tld", "/", "service all -"],
    ["victim-125.cos.ap-guangzhou.notmyqcloud.com", "/", "service all -"],
    ["victim-125.cos.ap-guangzhou.myqcloud.comm", "/", "service all -"],
    ["evil.tld", "/victim-125/k", "path - victim-125 k"],
    // Parts with hosts of their own.
    ["demo-125.cos.accelerate.myqcloud.com", "/k", "other acceleration endpoint"],
    ["demo-125.cos-internal.accelerate.tencentcos.cn", "/k", "other acceleration endpoint"],
    ["cos.accelerate.myqcloud.com", "/", "other acceleration endpoint"],
    ["demo-125.cos-website.ap-guangzhou.myqcloud.com", "/", "other static website"],
    ["demo-125.cos-website-internal.ap-guangzhou.tencentcos.cn", "/", "other static website"],
    ["demo-125.ci.ap-guangzhou.myqcloud.com", "/k", "other data processing (CI)"],
    ["ci.ap-guangzhou.myqcloud.com", "/", "other data processing (CI)"],
    ["demo-125.ci.ap-guangzhou.tencentci.cn", "/", "other data processing (CI)"],
    ["demo-125.pic.ap-guangzhou.myqcloud.com", "/", "other image processing (pic)"],
    ["100000000001.cos-control.ap-guangzhou.myqcloud.com", "/jobs", "other batch jobs"],
    ["1250000000.cos.ap-guangzhou.myqcloud.com", "/", "other account-level endpoint"],
    ["demo-125.file.myqcloud.com", "/k", "other CDN domain"],
    ["gz.file.myqcloud.com", "/files/v2/", "other JSON API"],
    // Refusals.
    ["demo-125.cos.ap-nowhere.myqcloud.com", "/", "InvalidRegionName"],
    ["cos.ap-nowhere.localhost", "/", "InvalidRegionName"],
    ["demo-125.cos.AP_GUANGZHOU.myqcloud.com", "/", "InvalidRegionName"],
    ["demo-125.ci.ap-nowhere.myqcloud.com", "/", "InvalidRegionName"],
    ["demo-125.nowhere.myqcloud.com", "/", "InvalidRegionName"],
    ["demo-125.myqcloud.com", "/", "InvalidRegionName"],
    ["www.myqcloud.com", "/", "InvalidRegionName"],
    [`demo.${GZ}`, "/", "InvalidRequest"],
    [`__proto__.${GZ}`, "/", "InvalidRequest"],
    ["127.0.0.1:9000", "/demo/k", "InvalidRequest"],
    ["127.0.0.1:9000", "/favicon.ico", "InvalidRequest"],
    ["127.0.0.1:9000", "/demo-125%00/k", "InvalidURI"],
    [`demo-125.demo-125.${GZ}`, "/", "InvalidBucketName"],
    [`demo.demo-125.cos.ap-guangzhou.localhost`, "/", "InvalidBucketName"],
    [`-demo-125.${GZ}`, "/", "InvalidBucketName"],
    [`-125.${GZ}`, "/", "InvalidBucketName"],
    [`demo--125.${GZ}`, "/", "InvalidBucketName"],
    [`de_mo-125.${GZ}`, "/", "InvalidBucketName"],
    [`.${GZ}`, "/", "InvalidBucketName"],
    [`.demo-125.${GZ}`, "/", "InvalidBucketName"],
    ["127.0.0.1", "/Demo-125/k", "InvalidBucketName"],
    ["127.0.0.1", "/..%2f-125/k", "InvalidRequest"],
    ["127.0.0.1", "//", "InvalidBucketName"],
    ["127.0.0.1", "//demo-125/k", "InvalidBucketName"],
    ["127.0.0.1", "/%E6%8A%A5-125/k", "InvalidBucketName"],
    ["127.0.0.1", "/a%0D%0Ab-125/k", "InvalidBucketName"],
    ["127.0.0.1", `/${LONG}-125/k`, "BucketNameTooLong"],
    [`${LONG}-125.${GZ}`, "/", "BucketNameTooLong"],
  ];
  it.each(rows)("%s %s is %s", (host, path, meaning) => assert.equal(read(host, path), meaning));

  it("of OPTIONS * is the service, whatever the host", () => {
    const target = parseTarget("OPTIONS", "*", `demo-125.${GZ}`);
    assert.equal(readAddress(target, RULES).kind, "service");
  });

  it.each([
    ["evil.tld", "UserCnameInvalid"],
    [`victim-125.${GZ}.evil.tld`, "UserCnameInvalid"],
    ["127.0.0.1.evil.tld", "UserCnameInvalid"],
    ["1.2.3.4.5", "UserCnameInvalid"],
    ["127.0.0.1:9000", "service all -"],
    ["[::1]:9000", "service all -"],
    ["cosbox:9000", "service all -"],
    ["console.localhost:9000", "service all -"],
    [undefined, "service all -"],
    [`demo-125.${GZ}`, "host ap-guangzhou demo-125"],
  ])("%s is %s where unknown hosts are refused", (host, meaning) => assert.equal(read(host, "/", STRICT), meaning));

  it("tells a label without APPID in the live service's words", () => {
    assert.throws(() => readAddress(parseTarget("GET", "/", `demo.${GZ}`), RULES), {
      message: "Missing required header for this request: Appid, Bucket format should be <bucketname>-<appid>",
      status: 400,
    });
  });

  it("is found or refused with a CosError for any host and path", () => {
    const label = fc.constantFrom(
      "demo-125",
      "demo",
      "cos",
      "ci",
      "accelerate",
      "ap-guangzhou",
      "myqcloud",
      "com",
      "localhost",
      "",
      "file",
      "-1",
      "service",
    );
    fc.assert(
      fc.property(fc.array(label, { maxLength: 7 }), fc.array(label, { maxLength: 4 }), (host, path) => {
        const meaning = read(host.join(".") || undefined, `/${path.join("/")}`);
        assert.match(meaning, /^(service|host|path|other|Invalid)/);
      }),
      { numRuns: 2000 },
    );
  });

  it("gives the key back that a client put under a bucket's host or path", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 40 }), (key) => {
        fc.pre(!/[\ud800-\udfff\0]/u.test(key));
        assert.equal(read(`demo-125.${GZ}`, `/${encodeURIComponent(key)}`), `host ap-guangzhou demo-125 ${key}`);
        assert.equal(read("localhost", `/demo-125/${encodeURIComponent(key)}`), `path - demo-125 ${key}`);
      }),
    );
  });
});

describe("addressingRules", () => {
  it.each([".cos.local", "cos.local:9000", "COS.local", "", "a..b"])("does not take %j for a suffix", (suffix) => {
    assert.throws(() => addressingRules({ regions: REGIONS, suffixes: [suffix] }), TypeError);
  });
});

describe("the paths that may have been signed", () => {
  const paths = (host: string, path: string) => {
    const target = parseTarget("GET", path, host);
    return signedPaths(target, readAddress(target, RULES));
  };

  it.each([
    [`demo-125.${GZ}`, "/a%2Bb", ["/a+b"]],
    [`demo-125.${GZ}`, "/a+b%2Bc", ["/a+b+c"]],
    [`demo-125.${GZ}`, "//", ["//"]],
    ["127.0.0.1:9000", "/demo-125/k", ["/demo-125/k", "/k"]],
    ["127.0.0.1:9000", "/demo-125", ["/demo-125", "/"]],
    ["127.0.0.1:9000", "/demo-125/", ["/demo-125/", "/"]],
    ["127.0.0.1:9000", "/demo-125/a+b", ["/demo-125/a+b", "/a+b"]],
    [GZ, "/demo-125/k", ["/demo-125/k"]],
    ["127.0.0.1:9000", "/", ["/"]],
  ])("of %s %s are %j", (host, path, expected) => assert.deepEqual(paths(host, path), expected));
});
