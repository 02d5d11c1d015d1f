/**
 * Early refusals: answers that are ready while the client is still sending. Closing then makes the kernel reset the
 * connection, and the client loses the answer it has not read yet (Python's `http.client` always does, since it sends
 * the whole body before it reads). So the answer goes out, our side of the connection is closed, and what the client
 * still sends is read and thrown away, within `discardBytesMax` and `discardMs`.
 */

import type { Clock, Timer } from "../ports/clock.ts";
import type { Connection } from "./connection.ts";
import type { EdgeLimits } from "./edge-limits.ts";

export interface LastWordsOptions {
  readonly clock: Clock;
  readonly limits: Pick<EdgeLimits, "discardBytesMax" | "discardMs">;
}

/** A client that is being drained and sends nothing for this long has read its answer, or never will. */
const DISCARD_IDLE_MS = 5000;

/**
 * Writes a whole answer, which must say that it closes, past Node's response, whose end would destroy the socket, and
 * with it the answer wherever bytes of the client are still unread. Then reads on until the client closes or a bound is
 * reached. Does nothing on a connection that has had its last words.
 */
export function speakLastWords(connection: Connection, answer: Buffer, options: LastWordsOptions): void {
  const { socket, latest } = connection;
  if (!socket.writable || connection.doomed) return;
  connection.doomed = true;
  socket.write(answer);
  // Over TLS our end would be answered with the client's own, in the midst of its body; the length tells enough.
  if (!connection.secure || latest === undefined || latest.request.complete) socket.end();
  else {
    latest.request.once("end", () => socket.end());
    socket.once("end", () => socket.end());
  }
  latest?.body.discard();
  readOut(connection, options);
}

/** Cuts a connection whose last answer is written once it has sent enough, for long enough, or nothing more. */
function readOut({ socket }: Connection, { clock, limits }: LastWordsOptions): void {
  const untilMs = clock.monotonic() + limits.discardMs;
  const bytesMax = socket.bytesRead + limits.discardBytesMax;
  let seen = -1;
  let quietMs = 0;
  let timer: Timer;
  const look = (afterMs: number): void => {
    const { bytesRead } = socket;
    quietMs = bytesRead === seen ? quietMs + afterMs : 0;
    seen = bytesRead;
    const leftMs = untilMs - clock.monotonic();
    if (leftMs <= 0 || bytesRead > bytesMax || quietMs >= DISCARD_IDLE_MS) {
      socket.destroy();
      return;
    }
    // Often enough that a fast client cannot send much beyond the bound between two looks.
    const nextMs = Math.min(leftMs, 250);
    timer = clock.after(nextMs, () => look(nextMs));
  };
  look(0);
  socket.once("close", () => timer?.cancel());
}
