/** Runs the cases against an endpoint: makes a bucket, holds each answer against its row, and takes everything away. */

import { CATALOGUE, type ErrorId } from "../errors/catalogue.ts";
import { CASES } from "./cases.ts";
import { elementsOf, type Prober, prober, type Target, type Told } from "./prober.ts";

export interface CaseResult {
  readonly id: ErrorId;
  readonly name?: string;
  /** What the row of the error page says. */
  readonly expected: { readonly status: number; readonly code: string };
  /** Undefined where no answer came. */
  readonly seen: { readonly status: number; readonly code: string; readonly message: string } | undefined;
  /** What is not as it should be, a sentence each. */
  readonly faults: readonly string[];
  /** The request as a command, and the answer as it came. */
  readonly request: string;
  readonly answer: string;
}

const ALWAYS = ["Code", "Message", "RequestId", "TraceId"] as const;

function faultsOf(told: Told, { status, code }: CaseResult["expected"]): string[] {
  const seen = told.element("Code");
  const faults: string[] = [];
  if (told.status !== status) faults.push(`status ${told.status}, expected ${status}`);
  if (seen !== code) faults.push(`code ${seen ?? "(none)"}, expected ${code}`);
  for (const name of ALWAYS) if ((told.element(name) ?? "") === "") faults.push(`no element ${name}`);
  if (told.headers["x-cos-request-id"] === undefined) faults.push("no header x-cos-request-id");
  return faults;
}

/**
 * Runs every case, one after the other, and resolves to what each came to. Rejects where the suite's bucket cannot be
 * made, with the service's reason.
 * @param suffix tells the run's buckets from others': lower-case letters and digits.
 */
export async function runSuite(
  target: Target,
  suffix: string,
  onResult: (result: CaseResult) => void = () => {},
): Promise<readonly CaseResult[]> {
  const client = prober(target, suffix);
  const made = await client.send({ method: "PUT" });
  if (made.status !== 200) {
    throw new Error(`the bucket ${client.bucket} cannot be made: ${made.status} ${made.element("Code") ?? made.text}`);
  }
  const results: CaseResult[] = [];
  try {
    for (const one of CASES) {
      const { id, name } = one;
      const { status, code } = CATALOGUE[id];
      const expected = { status, code };
      const about = { id, ...(name === undefined ? {} : { name }), expected };
      let result: CaseResult;
      try {
        const told = await one.ask(client);
        const seen = {
          status: told.status,
          code: told.element("Code") ?? "",
          message: told.element("Message") ?? "",
        };
        result = { ...about, seen, faults: faultsOf(told, expected), request: client.lastAsCurl, answer: told.text };
      } catch (error) {
        const fault = `no answer: ${(error as Error).message}`;
        result = { ...about, seen: undefined, faults: [fault], request: client.lastAsCurl, answer: "" };
      }
      results.push(result);
      onResult(result);
    }
    return results;
  } finally {
    await empty(client);
  }
}

/** Removes what the cases left, and the bucket. What cannot be removed is left. */
async function empty(client: Prober): Promise<void> {
  const uploads = await client.send({ query: { uploads: undefined } });
  const [keys, ids] = [elementsOf(uploads.text, "Key"), elementsOf(uploads.text, "UploadId")];
  for (const [at, uploadId] of ids.entries()) {
    await client.send({ method: "DELETE", path: `/${keys[at] ?? ""}`, query: { uploadId } });
  }
  for (const key of elementsOf((await client.send({})).text, "Key"))
    await client.send({ method: "DELETE", path: `/${key}` });
  await client.send({ method: "DELETE" });
}
