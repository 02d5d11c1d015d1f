/** Addresses of services that this server asks: `https://kms.tencentcloudapi.com`. */

/** An address, taken apart. */
export interface Endpoint {
  readonly isSecure: boolean;
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** As the field `Host` has it: without the port where that goes without saying. */
  readonly authority: string;
}

const FORM = /^(https?):\/\/(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253}))(?::([0-9]{1,5}))?\/?$/i;

/** The address; undefined for a text that has anything besides a scheme, a host and a port, or lacks one of the former. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const [, scheme, ipv6, name, digits] = FORM.exec(text) ?? [];
  const host = (ipv6 ?? name)?.toLowerCase();
  if (scheme === undefined || host === undefined) return undefined;
  const isSecure = scheme.toLowerCase() === "https";
  const usual = isSecure ? 443 : 80;
  const port = digits === undefined ? usual : Number(digits);
  if (port < 1 || port > 65_535) return undefined;
  const bracketed = ipv6 === undefined ? host : `[${host}]`;
  return { isSecure, host, port, authority: port === usual ? bracketed : `${bracketed}:${port}` };
}
