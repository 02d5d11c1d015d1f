/**
 * The processes that serve: the first process starts them by node:cluster, which lets them share one listener, starts
 * another when one dies, exchanges them one by one on request, and carries their questions to each other. It serves
 * nothing itself, so that there is little that could end it.
 */
import cluster, { type Worker } from "node:cluster";
import module from "node:module";
import type { Clock, ClockReading } from "../../ports/clock.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { revivedFault, type StartFault } from "./start-fault.ts";
import { switchboard } from "./switchboard.ts";

export interface WorkerProcessesOptions<Start> {
  readonly count: number;
  /** Path of the script that each process runs. */
  readonly script: string;
  /** What each is told first; survives JSON. */
  readonly start: Start;
  readonly clock: Clock;
  /** Unexpected ends within a minute after which no more processes are started. */
  readonly crashesMax: number;
  /** Told what a person should know, one line each. */
  readonly onTrouble: (line: string) => void;
}

export interface WorkerProcesses {
  readonly host: string;
  readonly port: number;
  /** Where the admin listener is, if there is one. */
  readonly admin?: string;
  /** Resolves, with one line that says why, when the processes keep ending. To be stopped then. */
  readonly failed: Promise<string>;
  /**
   * Exchanges every process for a new one, one after the other: the new one listens before the old one stops. What is
   * under way in the old one has `graceMs` to finish. Does not throw; a new one that cannot start leaves the old ones.
   */
  roll(graceMs: number): Promise<void>;
  /** Finishes what is under way, for at most `graceMs`, and ends every process. May be called again. */
  stop(graceMs: number): Promise<void>;
}

const CRASH_WINDOW_MS = 60_000;
/** Before a process is started in place of one that died; doubled each time one dies young. */
const RESTART_MS_MIN = 100;
const RESTART_MS_MAX = 1_000;
/** A process that lived this long did not die of its start. */
const YOUNG_MS = 10_000;
/**
 * How long an exchanged process leaves connections open that are idle: their clients may be about to send the next
 * request, which is answered with `Connection: close`, where a closed connection would be an error to them.
 */
const ROLL_IDLE_MS = 3_000;
/** Beyond its grace, a process that does not end is killed. */
const KILL_AFTER_MS = 5_000;

/** After the end of a process, how long its last words are waited for. */
const LAST_WORDS_MS = 1_000;

/**
 * node:cluster accepts a connection, hands it to a process and keeps its own end until the process has taken it. When
 * the process dies first, that end would stay open for good, and the client wait for an answer. So what has not been
 * taken is closed with the process.
 */
function closeUntaken(child: Worker["process"]): void {
  const untaken = new Map<unknown, { close(): void }>();
  let isOver = false;
  const send = child.send.bind(child) as (...all: unknown[]) => boolean;
  child.send = (message: unknown, handle?: unknown, ...more: unknown[]): boolean => {
    const { act, seq } = message as { act?: unknown; seq?: unknown };
    if (act === "newconn" && seq !== undefined && handle) {
      const connection = handle as { close(): void };
      if (isOver) connection.close();
      else untaken.set(seq, connection);
    }
    return send(message, handle, ...more);
  };
  child.on("internalMessage", ({ ack }: { ack?: unknown }) => untaken.delete(ack));
  child.once("exit", () => {
    isOver = true;
    for (const connection of untaken.values()) connection.close();
    untaken.clear();
  });
}

class Process {
  readonly worker: Worker;
  readonly startedAt: number;
  readonly ended: Promise<void>;
  /** It was told to stop, so its end is no accident. */
  stopping = false;
  /** It was told to start; before, it has touched nothing. */
  started = false;

  constructor(worker: Worker, clock: Clock) {
    this.worker = worker;
    this.startedAt = clock.monotonic();
    closeUntaken(worker.process);
    // What it said last may arrive after the news of its end; the channel is closed behind it.
    this.ended = new Promise((resolve) => {
      worker.once("exit", () => {
        if (!worker.isConnected()) return resolve();
        worker.once("disconnect", () => resolve());
        clock.after(LAST_WORDS_MS, resolve);
      });
    });
    // One that can no longer be told anything must not go on.
    worker.once("disconnect", () => worker.process.kill("SIGKILL"));
  }
}

/** Starts the processes. Resolves when the first one listens; rejects with the fault of the first that cannot. */
export async function startWorkerProcesses<Start>(options: WorkerProcessesOptions<Start>): Promise<WorkerProcesses> {
  const { count, script, start, clock, crashesMax, onTrouble } = options;
  const since: ClockReading = { machineMs: clock.real(), monotonicMs: clock.monotonic() };
  const board = switchboard(clock);
  const processes = new Set<Process>();
  const crashes: number[] = [];
  let restartMs = RESTART_MS_MIN;
  let stopped: Promise<void> | undefined;
  let rolling: Promise<void> | undefined;
  let address: { readonly host: string; readonly port: number; readonly admin?: string } | undefined;
  let giveUp: (why: string) => void = () => {};
  const failed = new Promise<string>((resolve) => {
    giveUp = resolve;
  });
  // Between the end of one process and the start of the next nothing else would keep this one alive.
  const keepAlive = setInterval(() => {}, 2 ** 30);

  cluster.setupPrimary({ exec: script, args: [] });
  // What this process has compiled before (Node 22.1 on) its workers need not compile again.
  const compiled = (module as { getCompileCacheDir?: () => string | undefined }).getCompileCacheDir?.();
  const env = compiled === undefined ? {} : { NODE_COMPILE_CACHE: compiled };

  function tell(one: Process, message: ToWorker<Start>): void {
    // One that has just died is told nothing; its end is on its way here.
    if (one.worker.isConnected()) one.worker.send(message, () => {});
  }

  /** Starts a process. The promise resolves when it listens, and rejects when it ends before. */
  function begin(): { readonly one: Process; readonly ready: Promise<void> } {
    const one = new Process(cluster.fork(env), clock);
    processes.add(one);
    const seat = board.join((message) => tell(one, message));
    let fault: StartFault | undefined;
    const ready = new Promise<void>((resolve, reject) => {
      one.worker.on("message", (message: FromWorker) => {
        if (message.kind === "ready") {
          one.started = true;
          tell(one, { kind: "start", start, since });
        } else if (message.kind === "listening") {
          const { host, port, admin } = message;
          address ??= { host, port, ...(admin === undefined ? {} : { admin }) };
          resolve();
        } else if (message.kind === "failed") {
          fault = message.fault;
        } else {
          seat.hear(message);
        }
      });
      one.worker.on("error", (error) => onTrouble(`server process ${one.worker.process.pid}: ${error.message}`));
      void one.ended.then(() => {
        processes.delete(one);
        seat.leave();
        const { exitCode, signalCode } = one.worker.process;
        const how = signalCode === null ? `with code ${exitCode}` : `by ${signalCode}`;
        reject(fault ? revivedFault(fault) : new Error(`a server process ended ${how} before it listened`));
        if (one.stopping || stopped !== undefined || address === undefined) return;
        onTrouble(`server process ${one.worker.process.pid} ended ${fault ? `(${fault.message})` : how}`);
        replace(one);
      });
    });
    ready.catch(() => {});
    return { one, ready };
  }

  /** Processes that are to go on. */
  function serving(): number {
    return [...processes].filter(({ stopping }) => !stopping).length;
  }

  function replace(dead: Process): void {
    const now = clock.monotonic();
    crashes.push(now);
    while (now - (crashes[0] ?? now) > CRASH_WINDOW_MS) crashes.shift();
    if (crashes.length > crashesMax) {
      giveUp(`server processes ended unexpectedly ${crashes.length} times within a minute; the log says why`);
      return;
    }
    if (now - dead.startedAt > YOUNG_MS) restartMs = RESTART_MS_MIN;
    const waitMs = restartMs;
    restartMs = Math.min(restartMs * 2, RESTART_MS_MAX);
    clock.after(waitMs, () => {
      if (stopped === undefined && serving() < count) begin();
    });
  }

  /** Asks a process to stop, and kills it when it does not. */
  async function retire(one: Process, graceMs: number, idleMs: number): Promise<void> {
    one.stopping = true;
    if (one.started) tell(one, { kind: "stop", graceMs, idleMs });
    else one.worker.process.kill("SIGKILL");
    const timer = clock.after(graceMs + idleMs + KILL_AFTER_MS, () => one.worker.process.kill("SIGKILL"));
    await one.ended;
    timer.cancel();
  }

  async function rollAll(graceMs: number): Promise<void> {
    for (const old of [...processes]) {
      if (stopped !== undefined) return;
      if (!processes.has(old)) continue;
      old.stopping = true;
      const { ready } = begin();
      try {
        await ready;
      } catch (error) {
        old.stopping = false;
        if (stopped !== undefined) return;
        if (!processes.has(old)) replace(old);
        onTrouble(`a new server process could not start: ${(error as Error).message}`);
        return;
      }
      if (stopped !== undefined) return;
      await retire(old, graceMs, ROLL_IDLE_MS);
    }
  }

  async function stopAll(graceMs: number): Promise<void> {
    await Promise.all([...processes].map((one) => retire(one, graceMs, 0)));
    clearInterval(keepAlive);
  }

  // The first has every core to start with, so that there are answers as soon as can be; the others follow.
  try {
    await begin().ready;
  } catch (error) {
    stopped = stopAll(0);
    await stopped;
    throw error;
  }
  while (serving() < count) begin();
  if (address === undefined) throw new Error("a server process listens nowhere");
  return {
    ...address,
    failed,
    roll(graceMs) {
      rolling ??= rollAll(graceMs).finally(() => {
        rolling = undefined;
      });
      return rolling;
    },
    stop(graceMs) {
      stopped ??= stopAll(graceMs);
      return stopped;
    },
  };
}
