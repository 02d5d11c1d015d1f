/** Namespaces: servers in memory behind the same listener, for tests that run at the same time. */

import * as z from "zod";
import type { Namespace, NamespaceControl } from "../../namespaces/namespaces.ts";
import { type AdminContext, AdminRefusal, adminRoute } from "../route.ts";

const AREA = "namespaces";

const NAMESPACE = z.object({
  name: z.string(),
  appid: z.string().describe("what the names of its buckets end in"),
  uin: z.string(),
  secretId: z.string(),
  secretKey: z.string(),
  region: z.string(),
  endpoint: z.string().describe("the server's own"),
  options: z
    .object({
      SecretId: z.string(),
      SecretKey: z.string(),
      Protocol: z.enum(["http:", "https:"]),
      Proxy: z.string().optional(),
      Ip: z.string().optional(),
      StrictSsl: z.boolean().optional(),
    })
    .describe("for new COS(…) of cos-nodejs-sdk-v5"),
  admin: z.string().describe("where all calls of this document, from /v1 on, are about this namespace alone"),
});

function told({ name, root, options, admin = "", control }: Namespace): z.input<typeof NAMESPACE> {
  return { name, ...root, region: control.region, endpoint: control.endpoint(), options, admin };
}

function those({ namespaces }: AdminContext): NamespaceControl {
  if (namespaces === undefined) throw new AdminRefusal(404, "NoSuchRoute", "a namespace has no namespaces of its own");
  return namespaces;
}

function missing(): AdminRefusal {
  return new AdminRefusal(404, "NoSuchNamespace", "there is no namespace of this name");
}

export const NAMESPACE_ROUTES = [
  adminRoute({
    method: "GET",
    path: "/v1/namespaces",
    name: "listNamespaces",
    about: "Lists the namespaces, with the keys of their accounts.",
    area: AREA,
    developmentOnly: true,
    answer: z.object({ namespaces: z.array(NAMESPACE) }),
    handle: async (context) => ({ namespaces: those(context).list().map(told) }),
  }),
  adminRoute({
    method: "POST",
    path: "/v1/namespaces",
    name: "createNamespace",
    about:
      "Makes a namespace: a server in memory behind the same listener, with an account, buckets, a clock, faults, records and a reset of its own.",
    area: AREA,
    developmentOnly: true,
    body: z.strictObject({
      name: z.string().optional().describe("1 to 64 letters, digits, dots, hyphens and underscores; drawn by default"),
      replace: z.boolean().optional().describe("removes the one that has the name; without it that is a refusal"),
    }),
    answer: NAMESPACE,
    async handle(context, { body }) {
      return told(await those(context).create(body));
    },
  }),
  adminRoute({
    method: "GET",
    path: "/v1/namespaces/{name}",
    name: "getNamespace",
    about: "Tells a namespace, with the keys of its account.",
    area: AREA,
    developmentOnly: true,
    answer: NAMESPACE,
    async handle(context, { path }) {
      const one = those(context).find(path["name"] ?? "");
      if (one === undefined) throw missing();
      return told(one);
    },
  }),
  adminRoute({
    method: "DELETE",
    path: "/v1/namespaces/{name}",
    name: "removeNamespace",
    about: "Removes a namespace with all that is in it, once the requests under way are answered.",
    area: AREA,
    developmentOnly: true,
    answer: z.object({}),
    async handle(context, { path }) {
      if (!(await those(context).remove(path["name"] ?? ""))) throw missing();
      return {};
    },
  }),
];
