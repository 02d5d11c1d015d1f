/**
 * The first process's part in what the workers ask each other. It knows who lives, because it is told of each end; it
 * passes questions on and gathers the answers; it names the one that collects. It keeps nothing of the data itself.
 */
import type { Clock, Timer } from "../../ports/clock.ts";
import { TokenBuckets, UnderWay } from "../meter/counts.ts";
import type { Answer, Question, Said } from "./messages.ts";

export interface Switchboard {
  /** Adds a process, to which `send` speaks. */
  join(send: (message: Said) => void): Seat;
}

export interface Seat {
  hear(message: Said): void;
  /** The process has ended, to its last write. */
  leave(): void;
}

/** How long others are waited for. One that is late counts as if it said what makes the asker wait. */
const ANSWER_MS_MAX = 2_000;

interface Member {
  readonly send: (message: Said) => void;
  /** Undefined until it writes. */
  incarnation: string | undefined;
}

/** A question that was passed on. */
interface Passed {
  readonly waitingFor: Set<Member>;
  readonly timer: Timer;
  take(from: Member, answer: Answer): void;
  end(inTime: boolean): void;
}

export function switchboard(clock: Clock): Switchboard {
  const members = new Set<Member>();
  const passed = new Map<number, Passed>();
  let collecting: Member | undefined;
  /** Why nobody may write any more, until the server is started again. */
  let stopped: Said | undefined;
  let lastId = 0;
  const rates = new TokenBuckets(clock);
  const underWay = new UnderWay<Member>();

  /** Asks `others`, and calls `end` once: when all have answered or ended, or when the time is over. */
  function pass(
    question: Question,
    others: readonly Member[],
    take: (answer: Answer) => void,
    end: (inTime: boolean) => void,
  ): void {
    if (others.length === 0) return end(true);
    lastId += 1;
    const id = lastId;
    const finish = (inTime: boolean): void => {
      if (!passed.delete(id)) return;
      entry.timer.cancel();
      end(inTime);
    };
    const entry: Passed = {
      waitingFor: new Set(others),
      timer: clock.after(ANSWER_MS_MAX, () => finish(false)),
      take(from, answer) {
        if (!entry.waitingFor.delete(from)) return;
        take(answer);
        if (entry.waitingFor.size === 0) finish(true);
      },
      end: finish,
    };
    passed.set(id, entry);
    for (const other of others) other.send({ kind: "ask", id, question });
  }

  function ofIncarnation(incarnation: string): Member | undefined {
    return [...members].find((member) => member.incarnation === incarnation);
  }

  function othersThan(member: Member): Member[] {
    return [...members].filter((other) => other !== member && other.incarnation !== undefined);
  }

  function elect(): void {
    if (collecting !== undefined && members.has(collecting)) return;
    collecting = [...members].find((member) => member.incarnation !== undefined);
  }

  function onQuestion(asker: Member, id: number, question: Question): void {
    const answer = (value: Answer) => asker.send({ kind: "answer", id, answer: value });
    switch (question.kind) {
      case "register": {
        asker.incarnation = question.incarnation;
        if (stopped !== undefined) asker.send(stopped);
        answer(true);
        const before = collecting;
        elect();
        if (collecting !== before) collecting?.send({ kind: "tend" });
        return;
      }
      case "alive":
        return answer(ofIncarnation(question.incarnation) !== undefined);
      case "under-way": {
        const owner = ofIncarnation(question.incarnation);
        if (owner === undefined) return answer(false);
        // One that does not answer may be at it; one that ends meanwhile is not.
        let isUnderWay: Answer = false;
        return pass(
          question,
          [owner],
          (value) => {
            isUnderWay = value;
          },
          (inTime) => answer(inTime ? isUnderWay : true),
        );
      }
      case "consult": {
        const said: string[] = [];
        return pass(
          question,
          othersThan(asker),
          (value) => {
            if (typeof value === "string") said.push(value);
          },
          (inTime) => answer(inTime ? said : null),
        );
      }
      case "take":
        return answer(rates.take(question.name, question.rate, question.wanted));
      case "enter":
        return answer(underWay.enter(question.name, question.most, asker));
      case "hold": {
        const others = othersThan(asker);
        const read = new Set<string>();
        let isKnown = true;
        return pass(
          question,
          others,
          (value) => {
            if (Array.isArray(value)) for (const name of value as string[]) read.add(name);
            else isKnown = false;
          },
          (inTime) => {
            if (inTime && isKnown) return answer([...read]);
            // The one that was late holds them too by the time it hears this.
            for (const other of others) if (members.has(other)) other.send({ kind: "let-go", names: question.names });
            answer(null);
          },
        );
      }
    }
  }

  return {
    join(send) {
      const member: Member = { send, incarnation: undefined };
      members.add(member);
      return {
        hear(message) {
          if (!members.has(member)) return;
          switch (message.kind) {
            case "ask":
              return onQuestion(member, message.id, message.question);
            case "answer":
              return passed.get(message.id)?.take(member, message.answer);
            case "let-go":
              for (const other of othersThan(member)) other.send(message);
              return;
            case "stop-writing":
              stopped ??= message;
              for (const other of othersThan(member)) other.send(message);
              return;
            case "leave":
              return underWay.leave(message.name, member);
            case "wake":
              if (collecting !== member) collecting?.send(message);
              return;
            case "tend":
          }
        },
        leave() {
          if (!members.delete(member)) return;
          underWay.gone(member);
          for (const question of [...passed.values()]) {
            if (question.waitingFor.delete(member) && question.waitingFor.size === 0) question.end(true);
          }
          if (member === collecting) {
            for (const other of members) other.send({ kind: "let-go" });
            elect();
          }
          // What it left half done is undone by the one that collects, whoever that is now.
          if (member.incarnation !== undefined) collecting?.send({ kind: "tend" });
        },
      };
    },
  };
}
