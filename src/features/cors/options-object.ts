/** OPTIONS Object: what a browser asks before it sends a request of a web page. */

import { BUCKET_CORS, corsEvidence, corsFields, matchCors, varyFields } from "../../access/cors.ts";
import { header, required } from "../../operations/input-fields.ts";
import { type Operation, operation } from "../../operations/operation.ts";
import { out } from "../../operations/output-fields.ts";

/** Names as a browser lists them, in lower case. */
function names(list: string | undefined): readonly string[] {
  return (list ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "");
}

const on = (target: "bucket" | "object"): Operation =>
  operation(
    {
      name: "OptionsObject",
      summary: "Tells a browser whether a web page may send a request; nobody signs it.",
      route: { method: "OPTIONS", on: target },
      action: "name/cos:OptionsObject",
      authentication: ["anonymous"],
      permission: "owner",
      preflight: true,
      input: {
        origin: required(header.text("Origin"), "InvalidRequest", "The preflight request names no Origin."),
        method: required(
          header.text("Access-Control-Request-Method"),
          "InvalidRequest",
          "The preflight request names no Access-Control-Request-Method.",
        ),
        headers: header.text("Access-Control-Request-Headers", "names, separated by commas"),
      },
      output: { fields: out.headers("what the matching rule tells") },
      status: 200,
      errors: ["AccessForbidden"],
    },
    async ({ bucket, limits, refuse, store }, { origin, method, headers }) => {
      const question = { origin, method, headers: names(headers) };
      const configuration = await store.configurations.find(bucket, BUCKET_CORS);
      const bound = limits.corsRequestHeadersMax;
      if (question.headers.length > bound) {
        const told = `The preflight request asks for ${question.headers.length} headers.`;
        throw refuse("AccessForbidden", {
          evidence: () => ({ kind: "limit", name: "corsRequestHeadersMax", bound, told }),
        });
      }
      const match = configuration && matchCors(configuration, question);
      if (configuration === undefined || match === undefined) {
        throw refuse("AccessForbidden", {
          evidence: () => corsEvidence(configuration?.rules ?? [], question, "preflight"),
        });
      }
      return { fields: [...corsFields(match, question), ...varyFields(configuration, match)] };
    },
  );

export const optionsBucket = on("bucket");
export const optionsObject = on("object");
