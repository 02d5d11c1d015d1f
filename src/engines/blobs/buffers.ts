/** The buffers that blob bytes travel in: allocated once, outside Node's shared slab, and used again and again. */

/** What one write or read takes: 256 KiB moved 3.5 GB/s over a socket here, 64 KiB half of that, 1 MiB no more. */
export const BUFFER_BYTES = 256 * 1024;

/** Buffers kept for the next user, 16 MiB of them; those beyond are left to the garbage collector. */
const IDLE_MAX = 64;

const idle: Buffer[] = [];

/** A buffer of BUFFER_BYTES with unknown content. */
export function takeBuffer(): Buffer {
  return idle.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
}

/** Gives back a buffer that nothing reads or writes any more. Giving it twice would mix two bodies. */
export function giveBuffer(buffer: Buffer): void {
  if (idle.length < IDLE_MAX) idle.push(buffer);
}
