/**
 * An HTTP client that does as little as can be done: one raw socket, one request at a time, heads made beforehand, and
 * of an answer only the status, the length and the bytes. It keeps the generator from being what is measured.
 */

import { connect, type Socket } from "node:net";

/** An answer as far as it is read. */
export interface RawAnswer {
  readonly status: number;
  /** The head as text; names as the server wrote them. */
  readonly head: string;
  /** Bytes of the body, chunk marks left out. */
  readonly length: number;
  /** False when the body differs from the expected one. */
  readonly same: boolean;
  /** The body, where it was to be kept. */
  readonly document: Buffer | undefined;
}

export interface RawRequest {
  readonly head: Buffer;
  readonly body?: Buffer | undefined;
  /** What the answer's body must be; undefined for any. */
  readonly expected?: Buffer | undefined;
  /** Keep the body for the caller. */
  readonly keep?: boolean;
  /** No body follows, whatever the head says. */
  readonly bodiless?: boolean;
}

/** Bodies up to this size travel in one write with their head. */
const ONE_WRITE_BYTES_MAX = 64 * 1024;
const HEAD_END = "\r\n\r\n";
const READ_BUFFER_BYTES = 256 * 1024;

export class RawClient {
  readonly #socket: Socket;
  #request: RawRequest | undefined;
  #done: ((answer: RawAnswer) => void) | undefined;
  #failed: ((error: Error) => void) | undefined;
  /** Bytes of a head that is not complete. */
  #partial: Buffer | undefined;
  #head = "";
  #status = 0;
  /** Bytes the body has; undefined for one in chunks. */
  #length: number | undefined;
  #received = 0;
  #same = true;
  #kept: Buffer[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    const lost = (error?: Error) => this.#failed?.(error ?? new Error("the server closed the connection"));
    socket.on("error", lost).on("close", () => lost());
  }

  /** Connects; rejects with the system's error. */
  static connect(host: string, port: number): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      let client: RawClient | undefined;
      const socket = connect({
        host,
        port,
        noDelay: true,
        onread: {
          buffer: Buffer.allocUnsafe(READ_BUFFER_BYTES),
          callback: (count, buffer) => {
            client?.read((buffer as Buffer).subarray(0, count));
            return true;
          },
        },
      });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        client = new RawClient(socket);
        resolve(client);
      });
    });
  }

  /** Sends one request; `done` is called with its answer, `failed` when the connection ends before it. */
  send(request: RawRequest, done: (answer: RawAnswer) => void, failed: (error: Error) => void): void {
    this.#request = request;
    this.#done = done;
    this.#failed = failed;
    const { head, body } = request;
    if (body === undefined || body.length === 0) this.#socket.write(head);
    else if (body.length <= ONE_WRITE_BYTES_MAX) {
      const whole = Buffer.allocUnsafe(head.length + body.length);
      head.copy(whole);
      body.copy(whole, head.length);
      this.#socket.write(whole);
    } else {
      this.#socket.cork();
      this.#socket.write(head);
      this.#socket.write(body);
      this.#socket.uncork();
    }
  }

  /** The same as a promise. */
  ask(request: RawRequest): Promise<RawAnswer> {
    return new Promise((resolve, reject) => this.send(request, resolve, reject));
  }

  close(): void {
    this.#failed = undefined;
    this.#socket.destroy();
  }

  /** Takes bytes off the socket. They are valid until it returns. */
  read(chunk: Buffer): void {
    if (this.#head !== "") {
      this.#readBody(chunk);
      return;
    }
    const bytes = this.#partial === undefined ? chunk : Buffer.concat([this.#partial, chunk]);
    const end = bytes.indexOf(HEAD_END);
    if (end < 0) {
      this.#partial = Buffer.from(bytes);
      return;
    }
    this.#partial = undefined;
    this.#head = bytes.toString("latin1", 0, end + 2);
    this.#status = Number(this.#head.slice(9, 12));
    this.#received = 0;
    this.#same = true;
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.#head);
    const bodiless = this.#request?.bodiless === true || this.#status === 204 || this.#status === 304;
    this.#length = bodiless ? 0 : length === null ? undefined : Number(length[1]);
    if (this.#length === undefined && !/\r\ntransfer-encoding: *chunked/i.test(this.#head)) this.#length = 0;
    this.#readBody(bytes.subarray(end + 4));
  }

  #readBody(chunk: Buffer): void {
    const request = this.#request as RawRequest;
    if (this.#length === undefined) {
      this.#kept.push(Buffer.from(chunk));
      const all = Buffer.concat(this.#kept);
      const body = unchunked(all);
      if (body === undefined) return;
      this.#received = body.length;
      this.#same = request.expected === undefined || body.equals(request.expected);
      this.#kept = [body];
      this.#finish();
      return;
    }
    const { expected } = request;
    if (chunk.length > 0) {
      if (expected !== undefined && this.#same) {
        const from = this.#received;
        this.#same = from + chunk.length <= expected.length && chunk.compare(expected, from, from + chunk.length) === 0;
      }
      if (request.keep === true) this.#kept.push(Buffer.from(chunk));
      this.#received += chunk.length;
    }
    if (this.#received >= this.#length) this.#finish();
  }

  #finish(): void {
    const { expected, keep, bodiless } = this.#request as RawRequest;
    const complete = bodiless === true || expected === undefined || this.#received === expected.length;
    const answer: RawAnswer = {
      status: this.#status,
      head: this.#head,
      length: this.#received,
      same: this.#same && complete,
      document: keep === true ? Buffer.concat(this.#kept) : undefined,
    };
    this.#head = "";
    this.#kept = [];
    const done = this.#done;
    this.#request = this.#done = this.#failed = undefined;
    done?.(answer);
  }
}

/** The body of a message in chunks; undefined while it is not complete. */
function unchunked(bytes: Buffer): Buffer | undefined {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = bytes.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.toString("latin1", at, line), 16);
    if (size === 0) return bytes.length >= line + 4 ? Buffer.concat(parts) : undefined;
    if (bytes.length < line + 2 + size + 2) return undefined;
    parts.push(bytes.subarray(line + 2, line + 2 + size));
    at = line + 2 + size + 2;
  }
}
