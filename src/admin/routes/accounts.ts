/** Accounts, and what belongs to them. */

import * as z from "zod";
import type { OwnedKind } from "../../accounts/administration.ts";
import type { PrincipalRows } from "../../store/principals.ts";
import { AdminRefusal, type AdminRoute, adminRoute } from "../route.ts";

const AREA = "accounts";

const name = z.string().regex(/^[\w+=,.@-]{1,64}$/, "1 to 64 letters, digits or any of _ + = , . @ -");
const digits = z.string().regex(/^[1-9][0-9]{4,19}$/, "5 to 20 digits");
const shownName = z
  .string()
  .regex(/^\P{Cc}{0,64}$/u, "a name of up to 64 characters")
  .default("");
const names = z.array(name).max(100).default([]);
const document = z
  .union([z.string(), z.record(z.string(), z.unknown())])
  .transform((given) => (typeof given === "string" ? given : JSON.stringify(given)))
  .describe("a policy in CAM's grammar, or its JSON");
const secretId = z.string().regex(/^[A-Za-z0-9_-]{8,128}$/, "8 to 128 letters, digits, - or _");
const secretKey = z.string().regex(/^[\x21-\x7e]{8,128}$/, "8 to 128 printable ASCII characters without spaces");

const NAMES = z.array(z.string()).readonly();
const ACCOUNT = z.object({
  uin: z.string(),
  appid: z.string(),
  name: z.string(),
  fixed: z.boolean().describe("true where keys of the settings stand for it"),
});
const ORIGIN = {
  seeded: z.boolean().describe("true where the settings name it"),
  createdAt: z.iso.datetime(),
};
const USER = z.object({
  uin: z.string(),
  name: z.string(),
  groups: NAMES,
  policies: NAMES,
  ...ORIGIN,
});
const GROUP = z.object({ name: z.string(), policies: NAMES, ...ORIGIN });
const POLICY = z.object({ name: z.string(), document: z.string(), ...ORIGIN });
const ROLE = z.object({
  name: z.string(),
  arn: z.string(),
  trust: z.string(),
  policies: NAMES,
  sessionSecondsMax: z.number(),
  ...ORIGIN,
});
const KEY = z.object({
  secretId: z.string(),
  uin: z.string(),
  user: z.string().describe("who holds it: a UIN"),
  enabled: z.boolean(),
  ...ORIGIN,
});

function inPath(shape: z.ZodType<string>, path: Readonly<Record<string, string>>, part: string): string {
  const read = shape.safeParse(path[part]);
  if (read.success) return read.data;
  throw new AdminRefusal(400, "InvalidInput", `${part}: ${read.error.issues[0]?.message ?? "it cannot be read"}`);
}
const uinIn = (path: Readonly<Record<string, string>>): string => inPath(digits, path, "uin");

type Shown<Row> = Omit<Row, "createdMs" | "uin"> & { readonly createdAt: string };

function shown<Row extends { readonly createdMs: number; readonly uin: string }>(row: Row): Shown<Row> {
  const { createdMs, uin: _uin, ...rest } = row;
  return { ...rest, createdAt: new Date(createdMs).toISOString() };
}

const shownUser = (row: PrincipalRows["user"]): z.input<typeof USER> => {
  const { user, ...rest } = shown(row);
  return { ...rest, uin: user };
};
const shownRole = (row: PrincipalRows["role"]): z.input<typeof ROLE> => ({
  ...shown(row),
  arn: `qcs::cam::uin/${row.uin}:roleName/${row.name}`,
});
const shownKey = <Row extends { readonly createdMs: number; readonly uin: string }>(row: Row) => ({
  ...shown(row),
  uin: row.uin,
});

/** The routes of one kind of what belongs to an account. */
function ownedRoutes<Kind extends OwnedKind, Body extends z.ZodType, Answer extends z.ZodObject>(parts: {
  readonly kind: Kind;
  /** `users`, as in the path; its name is `User` in the names of the calls. */
  readonly plural: string;
  readonly title: string;
  readonly named: z.ZodType<string>;
  readonly body: Body;
  readonly answer: Answer;
  readonly shown: (row: PrincipalRows[Kind]) => z.input<Answer>;
  readonly put: (
    accounts: Parameters<AdminRoute["handle"]>[0]["server"]["accounts"],
    uin: string,
    name: string,
    body: z.output<Body>,
  ) => Promise<void>;
}): readonly AdminRoute[] {
  const { kind, plural, title, named, body, answer } = parts;
  const one = `/v1/accounts/{uin}/${plural}/{name}`;
  return [
    adminRoute({
      method: "GET",
      path: `/v1/accounts/{uin}/${plural}`,
      name: `list${title}s`.replace("ys", "ies"),
      about: `Lists the ${plural} of an account.`,
      area: AREA,
      answer: z.object({ [plural]: z.array(answer) }),
      handle: async ({ server }, { path }) => ({
        [plural]: (await server.accounts.list(kind, uinIn(path))).map(parts.shown),
      }),
    }),
    adminRoute({
      method: "GET",
      path: one,
      name: `get${title}`,
      about: `Tells a ${kind}.`,
      area: AREA,
      answer: answer as z.ZodType,
      handle: async ({ server }, { path }) =>
        parts.shown(await server.accounts.find(kind, uinIn(path), inPath(named, path, "name"))),
    }),
    adminRoute({
      method: "PUT",
      path: one,
      name: `put${title}`,
      about: `Makes a ${kind}, or puts another in its place; it counts for the next request of every process.`,
      area: AREA,
      body,
      answer: z.object({}),
      async handle({ server }, { path, body: given }) {
        await parts.put(server.accounts, uinIn(path), inPath(named, path, "name"), given);
        return {};
      },
    }),
    adminRoute({
      method: "DELETE",
      path: one,
      name: `remove${title}`,
      about: `Removes a ${kind} that nothing needs any more.`,
      area: AREA,
      answer: z.object({}),
      async handle({ server }, { path }) {
        await server.accounts.remove(kind, uinIn(path), inPath(named, path, "name"));
        return {};
      },
    }),
  ];
}

/** 43,200 s, half a day. (AssumeRole page) */
const SESSION_SECONDS_MAX = 43_200;

export const ACCOUNT_ROUTES: readonly AdminRoute[] = [
  adminRoute({
    method: "GET",
    path: "/v1/accounts",
    name: "listAccounts",
    about: "Lists the root accounts.",
    area: AREA,
    answer: z.object({ accounts: z.array(ACCOUNT) }),
    handle: async ({ server }) => ({ accounts: (await server.accounts.accounts()).map((one) => ({ ...one })) }),
  }),
  adminRoute({
    method: "GET",
    path: "/v1/accounts/{uin}",
    name: "getAccount",
    about: "Tells a root account.",
    area: AREA,
    answer: ACCOUNT,
    handle: async ({ server }, { path }) => ({ ...(await server.accounts.account(uinIn(path))) }),
  }),
  adminRoute({
    method: "PUT",
    path: "/v1/accounts/{uin}",
    name: "putAccount",
    about: "Makes a root account with an APPID of its own, or changes its name.",
    area: AREA,
    body: z.strictObject({ appid: digits, name: shownName }),
    answer: z.object({}),
    async handle({ server }, { path, body }) {
      await server.accounts.putAccount({ uin: uinIn(path), ...body });
      return {};
    },
  }),
  adminRoute({
    method: "DELETE",
    path: "/v1/accounts/{uin}",
    name: "removeAccount",
    about: "Removes a root account that has no buckets and nothing else any more.",
    area: AREA,
    answer: z.object({}),
    async handle({ server }, { path }) {
      await server.accounts.removeAccount(uinIn(path));
      return {};
    },
  }),
  ...ownedRoutes({
    kind: "user",
    plural: "users",
    title: "User",
    named: digits,
    body: z.strictObject({ name: shownName, groups: names, policies: names }),
    answer: USER,
    shown: shownUser,
    put: (accounts, uin, user, body) => accounts.putUser({ uin, user, ...body }),
  }),
  ...ownedRoutes({
    kind: "group",
    plural: "groups",
    title: "Group",
    named: name,
    body: z.strictObject({ policies: names }),
    answer: GROUP,
    shown,
    put: (accounts, uin, group, body) => accounts.putGroup({ uin, name: group, ...body }),
  }),
  ...ownedRoutes({
    kind: "policy",
    plural: "policies",
    title: "Policy",
    named: name,
    body: z.strictObject({ document }),
    answer: POLICY,
    shown,
    put: (accounts, uin, policy, body) => accounts.putPolicy({ uin, name: policy, ...body }),
  }),
  ...ownedRoutes({
    kind: "role",
    plural: "roles",
    title: "Role",
    named: name,
    body: z.strictObject({
      trust: document.describe("who may take it on: a policy with principals and without resources"),
      policies: names,
      sessionSecondsMax: z.int().min(1).max(SESSION_SECONDS_MAX).default(SESSION_SECONDS_MAX),
    }),
    answer: ROLE,
    shown: shownRole,
    put: (accounts, uin, role, body) => accounts.putRole({ uin, name: role, ...body }),
  }),
  adminRoute({
    method: "GET",
    path: "/v1/accounts/{uin}/keys",
    name: "listKeys",
    about: "Lists the keys of an account and of its users, without their secrets and without those of the settings.",
    area: AREA,
    answer: z.object({ keys: z.array(KEY) }),
    handle: async ({ server }, { path }) => ({ keys: (await server.accounts.keys(uinIn(path))).map(shownKey) }),
  }),
  adminRoute({
    method: "POST",
    path: "/v1/accounts/{uin}/keys",
    name: "createKey",
    about: "Makes a key of an account or of one of its users, and tells its secret this once.",
    area: AREA,
    body: z.strictObject({
      user: digits.optional().describe("UIN of a user; the account itself where it is left out"),
      pair: z
        .strictObject({ secretId, secretKey })
        .optional()
        .describe("a pair of one's own; drawn where it is left out"),
    }),
    answer: KEY.extend({ secretKey: z.string() }),
    async handle({ server }, { path, body }) {
      const uin = uinIn(path);
      return shownKey(await server.accounts.createKey({ uin, user: body.user ?? uin, pair: body.pair }));
    },
  }),
  adminRoute({
    method: "GET",
    path: "/v1/keys/{secretId}",
    name: "getKey",
    about: "Tells a key without its secret.",
    area: AREA,
    answer: KEY,
    handle: async ({ server }, { path }) => shownKey(await server.accounts.key(inPath(secretId, path, "secretId"))),
  }),
  adminRoute({
    method: "PUT",
    path: "/v1/keys/{secretId}",
    name: "setKey",
    about: "Enables or disables a key; a disabled one takes the temporary keys along that were made with it.",
    area: AREA,
    body: z.strictObject({ enabled: z.boolean() }),
    answer: KEY,
    handle: async ({ server }, { path, body }) =>
      shownKey(await server.accounts.setKey(inPath(secretId, path, "secretId"), body.enabled)),
  }),
  adminRoute({
    method: "DELETE",
    path: "/v1/keys/{secretId}",
    name: "removeKey",
    about: "Removes a key.",
    area: AREA,
    answer: z.object({}),
    async handle({ server }, { path }) {
      await server.accounts.removeKey(inPath(secretId, path, "secretId"));
      return {};
    },
  }),
];
