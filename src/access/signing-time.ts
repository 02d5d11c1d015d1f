/**
 * Signatures under a virtual clock. Clients sign by the clock of their machine and know nothing of the server's. So the
 * server looks at its own clock as the client would have seen it when it signed: a request that was signed a moment ago
 * is as fresh after the clock was advanced as before, and a link that was made before is as old as the clock says. A link
 * is taken for as old as its start: one that a client dates back (Node.js by a second, Python by a minute) counts as made
 * before an advance that it follows within that time.
 */
import type { Clock } from "../ports/clock.ts";

/**
 * How a signature came: with a request of the moment, in a link that tells when it was made, or in one that tells only
 * until when it holds (version 2 of S3).
 */
export type SignedFor = "request" | "link" | "undated link";

/**
 * The present, in the time of whoever signed at `signedMs`: times of the signature are held against it. It is
 * `clock.now()` while the virtual clock shows the machine's time, and for clients that live in the virtual time.
 * @param signedMs when it was signed, or of an undated link its end; ms since 1970.
 * @param skewMs how far the clocks of client and server may be apart.
 */
export function presentFor(clock: Clock, signedMs: number, signedFor: SignedFor, skewMs: number): number {
  const now = clock.now();
  const real = clock.real();
  if (now === real) return now;
  if (
    signedFor === "undated link" ? signedMs >= real : Math.abs(signedMs - real) <= skewMs && signedFor === "request"
  ) {
    return real;
  }
  return signedMs > real + skewMs ? now : now - (clock.at(signedMs) - signedMs);
}
