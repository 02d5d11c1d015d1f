/** A port for processes that share a listener: each has to name the same one, also when all others are gone. */
import { type AddressInfo, createServer } from "node:net";

/** A port of `host` that was free a moment ago. Rejects with the system's error when `host` cannot be listened on. */
export function freePort(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host, port: 0 }, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
