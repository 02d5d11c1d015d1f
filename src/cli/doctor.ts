/** `cosbox doctor`: watches for the next request, says what is set wrongly in the client, and which settings are right. */

import type { AdminClient } from "../admin/client.ts";
import type { LoadedSettings } from "../config/load-settings.ts";
import { clientName } from "../diagnose/client-name.ts";
import type { DecisionRecord } from "../diagnose/record.ts";
import { snippetsOf } from "./banner.ts";
import { SettingsError } from "../config/settings.ts";
import { calling } from "./control.ts";
import type { Shell } from "./shell.ts";

/** What a record says of its client's settings, a line each. */
function findings(record: DecisionRecord, region: string): string[] {
  const { host, headers, status, errorId, caller, dialect } = record;
  const name = host.replace(/:\d+$/, "");
  const named = /(?:^|\.)(?:cos|cos-internal)\.([a-z0-9-]+)\.(?:[a-z0-9-]+\.)?[a-z0-9-]+$/.exec(name)?.[1];
  const byAddress = /^[\d.]+$|^\[/.test(name) || name === "localhost";
  return [
    `${status < 400 ? "It was answered with" : "It was refused with"} ${status}${errorId === undefined ? "" : ` ${errorId}`}.`,
    dialect === "s3" ? "It speaks S3." : "It speaks COS.",
    byAddress
      ? "It addresses the server by its own name: path style, which signs without the bucket in some SDKs."
      : `It addresses ${name}, as it would the cloud.`,
    ...(named === undefined || named === region
      ? []
      : [`The host names the region ${named}; that of the server is ${region}.`]),
    ...(caller === undefined || caller === "anonymous"
      ? ["It is not signed by a key that the server knows."]
      : [`It is signed by ${caller}.`]),
    ...(headers.some(([field]) => field === "via" || field === "x-forwarded-for")
      ? ["It came through a proxy, which may change what was signed."]
      : []),
  ];
}

async function nextOf(client: AdminClient): Promise<DecisionRecord> {
  const ended = new AbortController();
  for await (const record of client.follow(ended.signal)) {
    ended.abort();
    return record;
  }
  throw new SettingsError("the server ended before a request came");
}

/** Waits for one request, and tells what there is to tell of it. */
export function doctor({ settings }: LoadedSettings, shell: Shell): Promise<number> {
  return calling(settings, async (client) => {
    shell.stderr.write("cosbox: waiting for the next request; let your program make one (Ctrl-C ends)\n");
    const record = await nextOf(client);
    const agent = record.headers.find(([name]) => name === "user-agent")?.[1];
    const known = clientName(agent);
    const { curl, explanation, node } = await client.request(record.requestId);
    const lines = [
      known === undefined ? `Client: ${agent ?? "it does not say"}` : `Client: ${known.name} ${known.version}`,
      ...findings(record, settings.region).map((one) => `  ${one}`),
      "",
      ...(record.status < 400 ? [] : [explanation.trimEnd(), ""]),
      ...(known?.settings === undefined
        ? ["Settings that work: see the banner of the server."]
        : ["Settings that work:", ...snippetsOf(settings, known.settings).map((one) => `  ${one}`)]),
      "",
      "The same request again:",
      `  ${curl}`,
      ...(node === undefined ? [] : [`  ${node}`]),
      "",
    ];
    // What a client sent may move a terminal's cursor.
    shell.stdout.write(lines.join("\n").replace(/[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/gu, "?"));
  });
}
