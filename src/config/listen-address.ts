/** Where a server listens: `host:port`, as people write it. */

export interface ListenAddress {
  /** A host name or an IP address; IPv6 without brackets. */
  readonly host: string;
  /** 0 to 65535; 0 lets the system choose a free port. */
  readonly port: number;
}

const HOST_NAME = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;
const IPV6 = /^[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9._-]+)?$/;

/** Reads `127.0.0.1:9000`, `localhost:0` or `[::1]:9000`; undefined for anything else, a bare IPv6 address included. */
export function parseListen(text: string): ListenAddress | undefined {
  const colon = text.lastIndexOf(":");
  if (colon < 1) return undefined;
  const portText = text.slice(colon + 1);
  const port = Number(portText);
  if (!/^[0-9]{1,5}$/.test(portText) || port > 65_535) return undefined;

  const written = text.slice(0, colon);
  if (written.startsWith("[") && written.endsWith("]")) {
    const host = written.slice(1, -1);
    return IPV6.test(host) ? { host, port } : undefined;
  }
  return HOST_NAME.test(written) ? { host: written, port } : undefined;
}

/** The opposite of `parseListen`; also the authority of a URL. */
export function formatListen({ host, port }: ListenAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether only this machine can reach the address. A name other than `localhost` counts as reachable by others. */
export function isLoopback(host: string): boolean {
  return host.toLowerCase() === "localhost" || host === "::1" || /^127(\.[0-9]{1,3}){3}$/.test(host);
}

/** The address a client on this machine uses: a wildcard host stands for every interface, loopback included. */
export function reachableHost(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return /^[0:]+$/.test(host) ? "::1" : host;
}
