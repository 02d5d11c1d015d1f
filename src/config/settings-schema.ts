/**
 * The one schema of the settings. Each message completes "expected …", and the loader adds where the value stood and
 * what was found. Values may be typed, as YAML and the library give them, or text, as flags and variables are.
 */

import * as z from "zod";
import { LIMITS, type LimitName, limitBounds } from "../limits.ts";
import { ACCOUNT, appid, secretId, secretKey, text, uin, wholeNumber, yesOrNo } from "./account-shape.ts";
import { parseEndpoint } from "./endpoint.ts";
import { type ListenAddress, parseListen } from "./listen-address.ts";
import { RATES } from "./rates.ts";
import { WORKERS_MAX } from "./settings.ts";

function oneOf<const Words extends readonly [string, ...string[]]>(...words: Words) {
  return z.enum(words, words.length === 2 ? words.join(" or ") : `one of ${words.join(", ")}`);
}

/** A YAML list, or names separated by commas. */
function names(form: RegExp, expected: string) {
  const split = z.string().transform((list) =>
    list
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== ""),
  );
  return z.union([z.array(z.unknown()), split], `a list: ${expected}`).pipe(z.array(text(form, expected)));
}

const LISTEN = "host:port with a port from 0 to 65535, such as 127.0.0.1:9000 or [::1]:9000";
const listen = z
  .union(
    [
      z.string().transform((written, context): ListenAddress => {
        const address = parseListen(written);
        if (address !== undefined) return address;
        context.addIssue(LISTEN);
        return z.NEVER;
      }),
      z.strictObject({ host: z.string().min(1), port: z.int().min(0).max(65_535) }),
    ],
    LISTEN,
  )
  .refine((address) => parseListen(address.host.includes(":") ? `[${address.host}]:0` : `${address.host}:0`), LISTEN);

const path = text(/^[^\0]+$/, "a path");
/** "" says that no file is meant. */
const optionalPath = text(/^[^\0]*$/, "the path of a PEM file");
const optionalSecretId = text(
  /^([A-Za-z0-9_-]{8,128})?$/,
  "8 to 128 letters, digits, - or _, such as a SecretId of the cloud",
);
const optionalSecretKey = text(/^([\x21-\x7e]{8,128})?$/, "8 to 128 printable ASCII characters without spaces");
const ENDPOINT = "a URL without a path, such as https://kms.tencentcloudapi.com";
const endpoint = z
  .string(ENDPOINT)
  .refine((written) => written === "" || parseEndpoint(written) !== undefined, ENDPOINT);
const region = text(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "a region name, such as ap-guangzhou");
const domain = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** A YAML map of limits, or `name=value` pairs separated by commas. */
const limits = z
  .union(
    [
      z.record(z.string(), z.unknown()),
      z.string().transform((list, context) => {
        const pairs = list.split(",").map((pair) => pair.split("=").map((side) => side.trim()));
        if (pairs.every((pair) => pair.length === 2)) return Object.fromEntries(pairs) as Record<string, unknown>;
        context.addIssue("name=value pairs");
        return z.NEVER;
      }),
    ],
    "names and values of limits, such as partBytesMin=1024 (in cosbox.yaml partBytesMin: 1024)",
  )
  .pipe(
    z
      .strictObject(
        Object.fromEntries(
          (Object.keys(LIMITS) as LimitName[]).map((name) => {
            const { min, max } = limitBounds(name);
            const expected = `a whole number from ${min}${max === Number.MAX_SAFE_INTEGER ? " on" : ` to ${max}`}`;
            return [name, wholeNumber(min, max, expected)];
          }),
        ) as Record<LimitName, ReturnType<typeof wholeNumber>>,
      )
      .partial(),
  );

/** One layer of settings: flags, environment, file, or the options of the library. Every setting may be left out. */
export const LAYER = z
  .strictObject(
    {
      listen,
      data: path,
      memory: yesOrNo,
      region,
      regions: names(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "a region name such as ap-local"),
      suffix: names(domain, "a lower-case domain such as cos.local"),
      appid,
      uin,
      secretId,
      secretKey,
      credentials: z.array(
        z.strictObject({ secretId, secretKey, appid: appid.optional(), uin: uin.optional() }, "a key pair"),
        "a list of key pairs, each with secretId and secretKey",
      ),
      accounts: z.array(ACCOUNT, "a list of accounts, each with uin and appid"),
      rates: RATES,
      sealKey: text(/^[^\0]*$/, "the path of a file"),
      sealPassphrase: text(/^(.{12,1024})?$/, "a passphrase of 12 characters or more"),
      kmsEndpoint: endpoint,
      kmsRegion: text(/^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$/, "a region name, such as ap-guangzhou"),
      kmsSecretId: optionalSecretId,
      kmsSecretKey: optionalSecretKey,
      kmsKeyId: text(/^[\x21-\x7e]{0,256}$/, "the id of a key, up to 256 characters without spaces"),
      errors: oneOf("documented", "observed"),
      s3Hosts: names(
        /^(\*|[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63}){0,20})$/,
        "a lower-case host or domain such as s3.local, or *",
      ),
      bareBuckets: yesOrNo,
      strictS3: yesOrNo,
      strictSigning: yesOrNo,
      workers: wholeNumber(1, WORKERS_MAX, `a number of processes from 1 to ${WORKERS_MAX}`),
      profile: oneOf("development", "server"),
      allowPublic: yesOrNo,
      durability: oneOf("group", "none"),
      tlsCert: optionalPath,
      tlsKey: optionalPath,
      // YAML 1.1 editors write `off` as a boolean; no other use of a boolean makes sense here.
      tls: z.union([z.literal(false).transform(() => "off" as const), oneOf("off", "dev")], "off or dev"),
      // YAML 1.1 reads `off` as a boolean.
      admin: z.union(
        [z.literal(false).transform(() => "off" as const), z.literal("auto"), z.literal("off"), listen],
        "host:port such as 127.0.0.1:9001, auto or off",
      ),
      adminToken: text(/^([\x21-\x7e]{16,256})?$/, "16 to 256 printable ASCII characters without spaces"),
      explainHeader: z.union(
        [z.boolean().transform((on) => (on ? ("on" as const) : ("off" as const))), oneOf("auto", "on", "off")],
        "one of auto, on, off",
      ),
      faults: z.array(z.record(z.string(), z.unknown()), "a list of faults, such as [{ error: SlowDown }]"),
      logLevel: oneOf("debug", "info", "warn", "error", "silent"),
      seed: text(/^[^\0]*$/, "the path of a folder or of a YAML file"),
      limits,
    },
    "settings, each as name: value",
  )
  .partial();

export type LayerValues = z.output<typeof LAYER>;
