/** The body of a request as it comes off the socket: counted, watched for slow clients, and read at most once. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { ErrorId } from "../errors/catalogue.ts";
import { type CosError, refuse } from "../errors/cos-error.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { RequestBody } from "./request.ts";

export interface BodyLimits {
  /** Within a body, ms without a single byte: `RequestTimeout`. */
  readonly bodyIdleMs: number;
  /** Bytes per second that a body must reach over `bodyRateWindowMs`, 0 for any pace: `UserNetworkTooSlow`. */
  readonly bodyRateFloor: number;
  readonly bodyRateWindowMs: number;
}

/** What a body announces in its headers. */
export interface BodyFrame {
  /** Bytes; undefined when the body is chunked or absent. */
  readonly declaredLength: number | undefined;
  readonly chunked: boolean;
  /** The client holds the body back until it is told `100 Continue`. */
  readonly awaitsContinue: boolean;
}

/** Bytes taken from the socket ahead of a reader that is busy; with that many, reading pauses. */
const AHEAD_BYTES_MAX = 256 * 1024;

const EMPTY = Buffer.alloc(0);

interface Waiter {
  resolve(step: IteratorResult<Buffer, undefined>): void;
  reject(error: Error): void;
}

/**
 * The body of one request. Only the time in which we wait for the client counts against it: a client is not slow while
 * our disk is. There is no bound on the whole time, because 5 GB over a thin line take hours.
 */
export class IncomingBody implements RequestBody {
  readonly declaredLength: number | undefined;
  readonly chunked: boolean;
  readonly announced: boolean;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #clock: Clock;
  readonly #limits: BodyLimits;

  #awaitsContinue: boolean;
  #taken = false;
  #attached = false;
  #discarding = false;
  #ended = false;
  #failure: CosError | undefined;
  #received = 0;

  readonly #ahead: Buffer[] = [];
  #aheadBytes = 0;
  #paused = false;
  #waiter: Waiter | undefined;
  /** Takes each chunk while the body is collected. */
  #collector: ((chunk: Buffer) => void) | undefined;

  #watch: Timer | undefined;
  #waiting = false;
  /** Monotonic ms of the last byte, or of the moment we began to wait. */
  #idleSince = 0;
  /** Monotonic ms from which the present wait counts towards the window. */
  #waitSince = 0;
  #windowWaitedMs = 0;
  #windowBytes = 0;

  constructor(request: IncomingMessage, response: ServerResponse, frame: BodyFrame, limits: BodyLimits, clock: Clock) {
    this.#request = request;
    this.#response = response;
    this.#limits = limits;
    this.#clock = clock;
    this.declaredLength = frame.declaredLength;
    this.chunked = frame.chunked;
    this.announced = frame.chunked || (frame.declaredLength ?? 0) > 0;
    this.#awaitsContinue = frame.awaitsContinue && this.announced;
  }

  /** True while the client has not been told to send a body that it holds back. */
  get heldBack(): boolean {
    return this.#awaitsContinue;
  }

  /** What ended the body before its time, if anything did. */
  get failure(): CosError | undefined {
    return this.#failure;
  }

  /** Bytes that the client may still send; Infinity when only the client knows. */
  get outstanding(): number {
    if (!this.announced || this.#request.complete) return 0;
    if (this.chunked) return Number.POSITIVE_INFINITY;
    return Math.max(0, (this.declaredLength ?? 0) - this.#received - this.#request.readableLength);
  }

  stream(): AsyncIterable<Buffer> {
    this.#take();
    let begun = false;
    const iterator: AsyncIterator<Buffer, undefined> & AsyncIterable<Buffer> = {
      [Symbol.asyncIterator]: () => iterator,
      next: () => {
        if (!begun) {
          begun = true;
          this.#begin();
        }
        return this.#next();
      },
      return: () => {
        // What is still to come is left to the edge, which knows whether the connection is worth keeping.
        this.#stopWatch();
        this.#ended = true;
        this.#dropAhead();
        if (this.#attached) this.#request.pause();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
    return iterator;
  }

  collect(bytesMax: number, over: ErrorId): Promise<Buffer> {
    if ((this.declaredLength ?? 0) > bytesMax) return Promise.reject(refuse(over));
    this.#take();
    if (!this.announced) return Promise.resolve(EMPTY);
    const { complete, readableLength } = this.#request;
    if ((complete || readableLength === this.declaredLength) && this.#failure === undefined) {
      // A small body has arrived while the caller was looked up: no listener, no timer, no turn of the loop.
      const all = (this.#request.read() as Buffer | null) ?? EMPTY;
      this.#received = all.length;
      this.#ended = true;
      return all.length > bytesMax ? Promise.reject(refuse(over)) : Promise.resolve(all);
    }
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      this.#collector = (chunk) => {
        chunks.push(chunk);
        if (this.#received > bytesMax) this.fail(refuse(over));
      };
      this.#waiter = {
        resolve: () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, this.#received)),
        reject,
      };
      this.#begin();
      if (this.#failure !== undefined) this.#settle(this.#failure);
      else this.#wait();
    });
  }

  /**
   * Ends the body with `error`: the edge tells of lost connections, and of what the parser could not read. What was read
   * ahead is dropped. Nothing happens when the body is at its end already.
   */
  fail(error: CosError): void {
    if (this.#ended || this.#failure !== undefined) return;
    this.#failure = error;
    this.#stopWatch();
    this.#dropAhead();
    if (this.#attached) this.#request.pause();
    if (this.#waiter !== undefined) this.#settle(error);
  }

  /** The connection is lost. */
  lost(): void {
    if (this.announced && !this.#ended && this.#failure === undefined) this.fail(refuse("IncompleteBody"));
  }

  /** Nobody will read any more: lets what still comes flow past, unwatched and uncounted. */
  discard(): void {
    this.#discarding = true;
    this.#stopWatch();
    this.#dropAhead();
    if (this.#attached || this.outstanding > 0) this.#request.resume();
  }

  #take(): void {
    if (this.#taken) throw new Error("the body of a request may be read once");
    this.#taken = true;
  }

  #begin(): void {
    if (!this.announced) {
      this.#ended = true;
      return;
    }
    if (this.#failure !== undefined) return;
    if (this.#request.destroyed) {
      this.#failure = refuse("IncompleteBody");
      return;
    }
    if (this.#awaitsContinue) {
      this.#awaitsContinue = false;
      this.#response.writeContinue();
    }
    this.#attached = true;
    if (this.chunked) this.#request.on("end", () => this.#end());
    this.#request.on("data", (chunk: Buffer) => this.#arrived(chunk));
  }

  #next(): Promise<IteratorResult<Buffer, undefined>> {
    const chunk = this.#ahead.shift();
    if (chunk !== undefined) {
      this.#aheadBytes -= chunk.length;
      if (this.#paused && this.#aheadBytes < AHEAD_BYTES_MAX / 2) {
        this.#paused = false;
        this.#request.resume();
      }
      return Promise.resolve({ done: false, value: chunk });
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      this.#wait();
    });
  }

  #arrived(chunk: Buffer): void {
    this.#received += chunk.length;
    if (this.#discarding || this.#ended || this.#failure !== undefined) return;
    this.#windowBytes += chunk.length;
    const last = this.#received === this.declaredLength;
    if (this.#collector !== undefined) {
      this.#collector(chunk);
      if (last) this.#end();
      else this.#idleSince = this.#clock.monotonic();
      return;
    }
    const waiter = this.#waiter;
    if (waiter !== undefined) {
      this.#waiter = undefined;
      if (last) this.#end();
      else this.#stopWaiting();
      waiter.resolve({ done: false, value: chunk });
      return;
    }
    if (last) this.#end();
    this.#ahead.push(chunk);
    this.#aheadBytes += chunk.length;
    if (this.#aheadBytes >= AHEAD_BYTES_MAX && !this.#paused) {
      this.#paused = true;
      this.#request.pause();
    }
  }

  #end(): void {
    if (this.#ended || this.#failure !== undefined) return;
    this.#ended = true;
    this.#stopWatch();
    if (this.#waiter !== undefined) this.#settle(undefined);
  }

  #settle(error: CosError | undefined): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    this.#collector = undefined;
    if (error === undefined) waiter?.resolve({ done: true, value: undefined });
    else waiter?.reject(error);
  }

  #dropAhead(): void {
    this.#ahead.length = 0;
    this.#aheadBytes = 0;
  }

  #wait(): void {
    this.#waiting = true;
    this.#idleSince = this.#waitSince = this.#clock.monotonic();
    if (this.#watch === undefined) this.#look();
  }

  #stopWaiting(): void {
    this.#waiting = false;
    this.#windowWaitedMs += this.#clock.monotonic() - this.#waitSince;
  }

  #stopWatch(): void {
    this.#waiting = false;
    this.#watch?.cancel();
    this.#watch = undefined;
  }

  #tooSlow(id: ErrorId, name: keyof BodyLimits, what: string): CosError {
    const [received, bound] = [this.#received, this.#limits[name]];
    const of = this.declaredLength === undefined ? "" : ` of ${this.declaredLength}`;
    const told = `Of the body, ${received} bytes${of} had come; then ${what}.`;
    return refuse(id, { evidence: () => ({ kind: "limit", name, bound, told }) });
  }

  /** One timer per body: it looks when a bound could first be broken, and sets itself anew; chunks do not touch it. */
  #look(): void {
    const { bodyIdleMs, bodyRateFloor, bodyRateWindowMs } = this.#limits;
    const now = this.#clock.monotonic();
    const idleMs = this.#waiting ? now - this.#idleSince : 0;
    if (idleMs >= bodyIdleMs) {
      this.fail(this.#tooSlow("RequestTimeout", "bodyIdleMs", `nothing came for ${Math.round(idleMs)} ms`));
      return;
    }
    let waitedMs = this.#windowWaitedMs + (this.#waiting ? now - this.#waitSince : 0);
    if (waitedMs >= bodyRateWindowMs) {
      if (this.#windowBytes * 1000 < bodyRateFloor * waitedMs) {
        const told = `${this.#windowBytes} bytes came in ${Math.round(waitedMs)} ms of waiting for the client`;
        this.fail(this.#tooSlow("UserNetworkTooSlow", "bodyRateFloor", told));
        return;
      }
      waitedMs = this.#windowWaitedMs = this.#windowBytes = 0;
      this.#waitSince = now;
    }
    // Timers round down to whole milliseconds; one more keeps a bound from being looked at just before it is reached.
    const dueMs = Math.min(bodyIdleMs - idleMs, bodyRateWindowMs - waitedMs) + 1;
    this.#watch = this.#clock.after(dueMs, () => this.#look());
  }
}
