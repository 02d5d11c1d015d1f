/** The choice of a key management service. */

import { parseEndpoint } from "../../config/endpoint.ts";
import type { Settings } from "../../config/settings.ts";
import type { Clock } from "../../ports/clock.ts";
import type { RemoteKms } from "./remote-kms.ts";

/** The remote service that the settings name; undefined where the store's own key ring is the service. */
export async function kmsOf(
  {
    kmsEndpoint,
    kmsRegion,
    kmsSecretId,
    kmsSecretKey,
    kmsKeyId,
    region,
    limits,
  }: Pick<Settings, "kmsEndpoint" | "kmsKeyId" | "kmsRegion" | "kmsSecretId" | "kmsSecretKey" | "limits" | "region">,
  clock: Clock,
): Promise<RemoteKms | undefined> {
  const endpoint = parseEndpoint(kmsEndpoint);
  if (endpoint === undefined) return undefined;
  // Most servers have none, and do not load what asks it.
  const { remoteKms } = await import("./remote-kms.ts");
  return remoteKms({
    endpoint,
    region: kmsRegion === "" ? region : kmsRegion,
    secretId: kmsSecretId,
    secretKey: kmsSecretKey,
    defaultKeyId: kmsKeyId === "" ? undefined : kmsKeyId,
    clock,
    timeoutMs: limits.kmsTimeoutMs,
    cachedMs: limits.kmsCachedMs,
  });
}
