/** The OpenAPI 3.1 document of the admin listener, made of the shapes that its routes check with. */

import * as z from "zod";
import { type AdminRoute, bodyShape } from "./route.ts";

type Json = Record<string, unknown>;

function schema(shape: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(shape, { io, unrepresentable: "any" }) as Json;
  return rest;
}

function parameters({ path, query }: AdminRoute): readonly Json[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  if (query === undefined) return inPath;
  const { properties = {}, required = [] } = schema(query, "input") as { properties?: Json; required?: string[] };
  const inQuery = Object.entries(properties).map(([name, one]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema: one,
  }));
  return [...inPath, ...inQuery];
}

async function operation(route: AdminRoute): Promise<Json> {
  const { name, about, area, answer, developmentOnly } = route;
  const body = await bodyShape(route);
  const given = parameters(route);
  const content =
    typeof answer === "string"
      ? { [answer]: { schema: { type: "string" } } }
      : { "application/json": { schema: schema(answer, "input") } };
  return {
    operationId: name,
    summary: about,
    tags: [area],
    ...(given.length === 0 ? {} : { parameters: given }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { "application/json": { schema: schema(body, "input") } } } }),
    responses: {
      200: { description: "done", content },
      400: { $ref: "#/components/responses/Refusal" },
      ...(developmentOnly === true ? { 403: { $ref: "#/components/responses/Refusal" } } : {}),
    },
  };
}

/** The document as JSON values. */
export async function openApiDocument(routes: readonly AdminRoute[]): Promise<Json> {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    (paths[route.path] ??= {})[route.method.toLowerCase()] = await operation(route);
  }
  return {
    openapi: "3.1.0",
    info: { title: "cosbox admin", version: "1", description: "Looks at a running cosbox and changes how it behaves." },
    servers: [
      { url: "/" },
      {
        url: "/namespaces/{namespace}",
        description: "The same calls about a namespace alone, but for those of namespaces.",
        variables: { namespace: { default: "a", description: "its name" } },
      },
    ],
    paths,
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      responses: {
        Refusal: {
          description: "a refusal",
          content: {
            "application/json": {
              schema: {
                type: "object",
                required: ["error"],
                properties: {
                  error: {
                    type: "object",
                    required: ["code", "message"],
                    properties: { code: { type: "string" }, message: { type: "string" } },
                  },
                },
              },
            },
          },
        },
      },
    },
    security: [{ token: [] }, {}],
  };
}
