/** A worker's part: its questions to the others, and its answers to theirs. */
import { LRUCache } from "lru-cache";
import type { Clock } from "../../ports/clock.ts";
import type { Meter } from "../../ports/meter.ts";
import type { Here, Peers } from "../../ports/peers.ts";
import type { Answer, Question, Said } from "./messages.ts";

export interface WorkerPeers extends Peers, Meter {
  /** Takes what the first process says. */
  hear(message: Said): void;
}

/** How long several calls of `wake` are gathered into one message. */
const WAKE_MS = 20;

/** What may happen within this time is asked for at once, s, so that a high rate does not cost a question each time. */
const LEASE_SECONDS = 0.01;
/** Names of rates that something is left of. */
const LEASES_MAX = 10_000;

/** `send` speaks to the first process. When that is gone, this process has to end: nothing is answered any more. */
export function workerPeers(send: (message: Said) => void, clock: Clock): WorkerPeers {
  const asked = new Map<number, (answer: Answer) => void>();
  let lastId = 0;
  let here: Here | undefined;
  let isWaking = false;
  /** What may still happen here without asking. */
  const leases = new LRUCache<string, number>({ max: LEASES_MAX });

  function ask(question: Question): Promise<Answer> {
    lastId += 1;
    const id = lastId;
    return new Promise((resolve) => {
      asked.set(id, resolve);
      send({ kind: "ask", id, question });
    });
  }

  function answerTo(question: Question): Answer | Promise<Answer> {
    switch (question.kind) {
      case "under-way":
        return here?.isUnderWay(question.work) ?? false;
      case "hold":
        return here?.hold(question.names) ?? [];
      case "consult":
        return here?.consult(question.topic, question.text) ?? "";
      case "alive":
      case "register":
      case "take":
      case "enter":
        throw new Error(`a worker cannot tell who is alive`);
    }
  }

  return {
    async register(incarnation, toBeAsked) {
      here = toBeAsked;
      await ask({ kind: "register", incarnation });
    },
    isAlive: async (incarnation) => (await ask({ kind: "alive", incarnation })) === true,
    isUnderWay: async (incarnation, work) => (await ask({ kind: "under-way", incarnation, work })) === true,
    async hold(names) {
      const answer = await ask({ kind: "hold", names });
      return Array.isArray(answer) ? (answer as readonly string[]) : undefined;
    },
    async consult(topic, text) {
      const answer = await ask({ kind: "consult", topic, text });
      return Array.isArray(answer) ? (answer as readonly string[]) : undefined;
    },
    take(name, rate) {
      const left = leases.get(name) ?? 0;
      if (left >= 1) {
        leases.set(name, left - 1);
        return true;
      }
      const wanted = Math.max(1, Math.floor(rate.perSecond * LEASE_SECONDS));
      return ask({ kind: "take", name, rate, wanted }).then((granted) => {
        if (typeof granted !== "number" || granted < 1) return false;
        leases.set(name, (leases.get(name) ?? 0) + granted - 1);
        return true;
      });
    },
    enter: async (name, most) => (await ask({ kind: "enter", name, most })) === true,
    leave(name) {
      send({ kind: "leave", name });
    },
    letGo(names) {
      send({ kind: "let-go", names });
    },
    stopWriting(why) {
      send({ kind: "stop-writing", why });
    },
    wake() {
      if (isWaking) return;
      isWaking = true;
      clock.after(WAKE_MS, () => {
        isWaking = false;
        send({ kind: "wake" });
      });
    },
    hear(message) {
      switch (message.kind) {
        case "ask": {
          const { id, question } = message;
          const answer = answerTo(question);
          if (!(answer instanceof Promise)) return send({ kind: "answer", id, answer });
          return void answer.then((value) => send({ kind: "answer", id, answer: value }));
        }
        case "answer": {
          const resolve = asked.get(message.id);
          asked.delete(message.id);
          return resolve?.(message.answer);
        }
        case "let-go":
          return here?.letGo(message.names);
        case "stop-writing":
          return here?.stopWriting(message.why);
        case "wake":
          return here?.wake();
        case "tend":
          return here?.tend();
        case "leave":
      }
    },
  };
}
