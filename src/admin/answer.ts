/** From a request to the admin listener to its answer: find the route, check what came, call it, check nothing twice. */

import type { IncomingMessage, ServerResponse } from "node:http";
import * as z from "zod";
import { refusalOf } from "./refusals.ts";
import { type AdminContext, AdminRefusal, type AdminRoute, bodyShape, type TextAnswer } from "./route.ts";
import { ADMIN_ROUTES } from "./table.ts";

const BODY_BYTES_MAX = 1024 * 1024;
const WAITING_BYTES_MAX = 1024 * 1024;

interface Found {
  readonly route: AdminRoute;
  readonly path: Readonly<Record<string, string>>;
}

/** What stands in the places of `pattern`, or undefined where the path is another. */
function matched(pattern: string, path: string): Record<string, string> | undefined {
  const [asked, given] = [pattern.split("/"), path.split("/")];
  if (asked.length !== given.length) return undefined;
  const values: Record<string, string> = {};
  for (const [at, piece] of asked.entries()) {
    const value = given[at] as string;
    if (!piece.startsWith("{")) {
      if (piece !== value) return undefined;
      continue;
    }
    try {
      values[piece.slice(1, -1)] = decodeURIComponent(value);
    } catch {
      return undefined;
    }
  }
  return values;
}

function find(method: string, path: string): Found {
  const allowed: string[] = [];
  for (const route of ADMIN_ROUTES) {
    const values = matched(route.path, path);
    if (values === undefined) continue;
    if (route.method === method) return { route, path: values };
    allowed.push(route.method);
  }
  if (allowed.length > 0) throw new AdminRefusal(405, "MethodNotAllowed", `here is only ${allowed.join(", ")}`);
  throw new AdminRefusal(404, "NoSuchRoute", "GET /v1/openapi.json describes what there is");
}

async function read(request: IncomingMessage): Promise<unknown> {
  // Pages can send other types to anyone without asking first.
  if (!/^application\/json\b/i.test(request.headers["content-type"] ?? "")) {
    throw new AdminRefusal(415, "UnsupportedMediaType", "send Content-Type: application/json");
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) {
      throw new AdminRefusal(413, "BodyTooLarge", `a body has at most ${BODY_BYTES_MAX} bytes`);
    }
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (error) {
    throw new AdminRefusal(400, "InvalidJson", `the body is no JSON: ${(error as Error).message}`);
  }
}

function checked(shape: z.ZodType, value: unknown, what: string): unknown {
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  const told = result.error.issues.map(({ path, message }) => `${[what, ...path].join(".")}: ${message}`);
  throw new AdminRefusal(400, "InvalidInput", told.join("; "));
}

/** `/namespaces/<name>/v1/…` is `/v1/…` of that namespace. */
function within(context: AdminContext, path: string): { readonly context: AdminContext; readonly asked: string } {
  const parts = matched("/namespaces/{name}", path.split("/", 3).join("/"));
  if (parts === undefined || context.namespaces === undefined) return { context, asked: path };
  const { name = "" } = parts;
  const one = context.namespaces.find(name);
  if (one === undefined) throw new AdminRefusal(404, "NoSuchNamespace", "there is no namespace of this name");
  const asked = path.split("/").slice(3).join("/");
  return { context: { ...context, server: one.control, namespaces: undefined }, asked: `/${asked}` };
}

async function called(request: IncomingMessage, whole: AdminContext): Promise<{ route: AdminRoute; value: unknown }> {
  const [address = "", ...parameters] = (request.url ?? "/").split("?");
  const { context, asked } = within(whole, address);
  const { route, path } = find(request.method ?? "GET", asked);
  if (route.developmentOnly === true && context.profile === "server") {
    throw new AdminRefusal(403, "NotOnServers", `${route.name} is for development: this is --profile server`);
  }
  const query =
    route.query && checked(route.query, Object.fromEntries(new URLSearchParams(parameters.join("?"))), "query");
  const shape = await bodyShape(route);
  const body = shape && checked(shape, await read(request), "body");
  try {
    return { route, value: await route.handle(context, { path, query, body }) };
  } catch (error) {
    throw refusalOf(error, route) ?? error;
  }
}

function send(response: ServerResponse, { contentType, status = 200, text }: TextAnswer): void {
  response.writeHead(status, { "Content-Type": contentType, "Cache-Control": "no-store" });
  if (typeof text === "string") {
    response.end(text);
    return;
  }
  response.flushHeaders();
  const ended = new AbortController();
  response.once("close", () => ended.abort());
  // A client that reads more slowly than there is to tell is not told everything.
  text((piece) => void (response.writableLength < WAITING_BYTES_MAX && response.write(piece)), ended.signal);
}

/** Answers one request that may be listened to. Rejects with a fault of our own. */
export async function answer(request: IncomingMessage, response: ServerResponse, context: AdminContext): Promise<void> {
  try {
    const { route, value } = await called(request, context);
    if (typeof route.answer === "string") return send(response, value as TextAnswer);
    const status = (value as { readonly ready?: unknown }).ready === false ? 503 : 200;
    response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" });
    response.end(`${JSON.stringify(value)}\n`);
  } catch (error) {
    if (!(error instanceof AdminRefusal)) throw error;
    response.writeHead(error.status, { "Content-Type": "application/json", "Cache-Control": "no-store" });
    response.end(`${JSON.stringify({ error: { code: error.code, message: error.message } })}\n`);
  }
}
