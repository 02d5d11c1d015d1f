import path from "node:path";

/** Where the certificate of the local authority stands: the file that clients are told to trust. */
export function developmentCaPath(data: string): string {
  return path.join(data, "tls", "ca.pem");
}
