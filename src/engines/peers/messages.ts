/** What the processes of one server say to each other, through the first of them. All of it survives JSON. */
import type { ClockReading } from "../../ports/clock.ts";
import type { Rate } from "../../ports/meter.ts";
import type { StartFault } from "./start-fault.ts";

/** A question, and what it is answered with. */
export type Question =
  /** The asker writes under this incarnation from now on. `true`. */
  | { readonly kind: "register"; readonly incarnation: string }
  /** Whether the process of this incarnation has not ended: boolean. */
  | { readonly kind: "alive"; readonly incarnation: string }
  /** Whether that process has this work under way: boolean. */
  | { readonly kind: "under-way"; readonly incarnation: string; readonly work: string }
  /** Which of the names are being read by others, who hold the rest: string[], or null when nobody knows. */
  | { readonly kind: "hold"; readonly names: readonly string[] }
  /** What each of the others says to this: string[], or null when somebody was late. One of them alone says a string. */
  | { readonly kind: "consult"; readonly topic: string; readonly text: string }
  /** How many of `wanted` may happen now, at this rate over all: number. */
  | { readonly kind: "take"; readonly name: string; readonly rate: Rate; readonly wanted: number }
  /** Whether one more may be under way here: boolean. */
  | { readonly kind: "enter"; readonly name: string; readonly most: number };

export type Answer = boolean | number | string | readonly string[] | null;

/** What a worker and the first process both may say. */
export type Said =
  | { readonly kind: "ask"; readonly id: number; readonly question: Question }
  | { readonly kind: "answer"; readonly id: number; readonly answer: Answer }
  /** From the first process without names: everything that others hold. */
  | { readonly kind: "let-go"; readonly names?: readonly string[] }
  /** What was entered is over. */
  | { readonly kind: "leave"; readonly name: string }
  | { readonly kind: "wake" }
  /** A sync has failed. */
  | { readonly kind: "stop-writing"; readonly why: string }
  /** From the first process: collect for all, and look for what the dead have left. */
  | { readonly kind: "tend" };

/** How a worker's life goes. */
export type FromWorker =
  | Said
  /** It hears; what is said to it before is lost. */
  | { readonly kind: "ready" }
  /** `admin` is where its admin listener is, if it has one. */
  | { readonly kind: "listening"; readonly host: string; readonly port: number; readonly admin?: string }
  | { readonly kind: "failed"; readonly fault: StartFault };

export type ToWorker<Start> =
  | Said
  /** `since` is what the clocks showed when the first process began: what a worker finds may have been set meanwhile. */
  | { readonly kind: "start"; readonly start: Start; readonly since: ClockReading }
  /** Finish what is under way within `graceMs`, leave idle connections open for `idleMs`, and end. */
  | { readonly kind: "stop"; readonly graceMs: number; readonly idleMs: number };
