/** What the admin listener answers: each route is declared with the shapes of what it takes and gives. */

import type * as z from "zod";
import type { ServerControl } from "../control/server-control.ts";
import type { NamespaceControl } from "../namespaces/namespaces.ts";

/** A refusal of the admin listener: a status, a word for programs, a sentence for people. */
export class AdminRefusal extends Error {
  override readonly name = "AdminRefusal";
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** What a route is given: the server it may look at and change. */
export interface AdminContext {
  readonly server: ServerControl;
  /** Those that share its listener; undefined for one of them, which has none. */
  readonly namespaces: NamespaceControl | undefined;
  /** `server` has no virtual clock, faults or reset. */
  readonly profile: "development" | "server";
}

/** A request as its route reads it: the parts that it declares, checked. */
export interface AdminInput {
  readonly path: Readonly<Record<string, string>>;
  readonly query: unknown;
  readonly body: unknown;
}

/** An answer that is no JSON document: a text, or one that goes on for as long as the client listens. */
export interface TextAnswer {
  readonly contentType: string;
  readonly status?: number;
  /** One that goes on is given `tell`, and a signal that somebody has stopped listening. */
  readonly text: string | ((tell: (piece: string) => void, ended: AbortSignal) => void);
}

export interface AdminRoute {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** Such as `/v1/requests/{id}`. */
  readonly path: string;
  /** Unique; the name of the call in the document and in the client. */
  readonly name: string;
  /** One sentence. */
  readonly about: string;
  readonly area: string;
  /** Refused under the profile `server`. */
  readonly developmentOnly?: true;
  readonly query?: z.ZodObject;
  /** The JSON of a request; loaded with the first where it is large, so that a start does not wait for it. */
  readonly body?: z.ZodType | (() => Promise<z.ZodType>);
  /** How a value is told that is outside of what the server takes: the status and the word. */
  readonly outOfRange?: readonly [status: number, code: string];
  /** The JSON document of a success; a content type where it is none. */
  readonly answer: z.ZodType | string;
  handle(context: AdminContext, input: AdminInput): Promise<unknown>;
}

interface RouteParts<Query extends z.ZodObject, Body extends z.ZodType, Answer extends z.ZodType | string>
  extends Omit<AdminRoute, "query" | "body" | "answer" | "handle"> {
  readonly query?: Query;
  readonly body?: Body | (() => Promise<Body>);
  readonly answer: Answer;
  handle(
    context: AdminContext,
    input: {
      readonly path: Readonly<Record<string, string>>;
      readonly query: z.output<Query>;
      readonly body: z.output<Body>;
    },
  ): Promise<Answer extends z.ZodType ? z.input<Answer> : TextAnswer>;
}

/** The shape of a route's body, once it is there; undefined where it takes none. */
export async function bodyShape({ body }: Pick<AdminRoute, "body">): Promise<z.ZodType | undefined> {
  return typeof body === "function" ? await body() : body;
}

/** Declares a route; what its handler is given and gives back has the types of its shapes. */
export function adminRoute<Query extends z.ZodObject, Body extends z.ZodType, Answer extends z.ZodType | string>(
  parts: RouteParts<Query, Body, Answer>,
): AdminRoute {
  return parts as unknown as AdminRoute;
}
