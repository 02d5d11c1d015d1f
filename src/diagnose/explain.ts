/** Decision records in plain words: what happened, the evidence, what to do. Pure. */

import { CATALOGUE } from "../errors/catalogue.ts";
import type { CorsEvidence, CorsNearest, Evidence } from "../errors/evidence.ts";
import { ADVICE, OTHERWISE } from "./advice.ts";
import type { DecisionRecord } from "./record.ts";

interface Part {
  readonly evidence: readonly string[];
  readonly advice: readonly string[];
}

const time = (ms: number): string => new Date(ms).toISOString();

function seconds(ms: number): string {
  return `${Math.round(Math.abs(ms) / 1000)} s`;
}

/** Shows where two texts part, with what stands around the place. */
export function firstDifference(ours: string, theirs: string): string | undefined {
  if (ours === theirs) return undefined;
  let at = 0;
  while (at < ours.length && ours[at] === theirs[at]) at += 1;
  const line = ours.slice(0, at).split("\n").length;
  const around = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 10), at + 30));
  return `They part at character ${at + 1}, in line ${line}: the server has ${around(ours)}, the client ${around(theirs)}.`;
}

const indented = (text: string): readonly string[] =>
  text
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => `  ${JSON.stringify(line)}`);

function ofEvidence(evidence: Evidence): Part {
  switch (evidence.kind) {
    case "signature": {
      const { canonical, mistake, tried } = evidence;
      const ours = ["The server expects this text to be signed:", ...indented(canonical)];
      if (mistake === undefined) {
        return {
          evidence: [...ours, `None of ${tried} known mistakes gives the signature that was sent.`],
          advice: [
            "The likeliest reason left is another SecretKey than the one of this SecretId.",
            "Or a value in the text above is not what the client signed: compare it with the client's own text.",
          ],
        };
      }
      const theirs =
        mistake.canonical === undefined
          ? []
          : [
              "The client signed this text:",
              ...indented(mistake.canonical),
              firstDifference(canonical, mistake.canonical) ?? "",
            ];
      return { evidence: [mistake.told, ...ours, ...theirs], advice: [mistake.mend] };
    }
    case "time": {
      const { now, start, end, skewMs } = evidence;
      const facts = [`The server's time is ${time(now)}; the signature holds from ${time(start)} to ${time(end)}.`];
      if (now > end) {
        return {
          evidence: [...facts, `It ended ${seconds(now - end)} earlier.`],
          advice: ["Sign anew, or for longer; if it was made just now, set the client's clock."],
        };
      }
      return {
        evidence: [...facts, `It begins ${seconds(start - now)} ahead, and ${seconds(skewMs)} are allowed.`],
        advice: ["Set the client's clock; some clients write milliseconds where seconds belong."],
      };
    }
    case "region": {
      const { bucketRegion, addressedRegion } = evidence;
      return {
        evidence: [`The bucket is there, in the region ${bucketRegion}; the host names ${addressedRegion}.`],
        advice: [`Set the client's region to ${bucketRegion}.`],
      };
    }
    case "endpoint": {
      const { told, instead } = evidence;
      return { evidence: [told], advice: instead === undefined ? [] : [`Send the request to ${instead}.`] };
    }
    case "fault": {
      const { id, phase } = evidence;
      const done = {
        before: "Nothing of the request was done.",
        during: "Its body was read half way, and nothing was stored.",
        after: "Everything was done that it asked for; only the answer is another.",
      };
      return {
        evidence: [`Somebody asked for this: the fault ${id}. ${done[phase]}`],
        advice: ["Remove the fault when it is not wanted any more: it is in GET /v1/faults of the admin listener."],
      };
    }
    case "rate": {
      const { id, of, operations, perSecond, burst } = evidence;
      const what = operations.length === 0 ? "requests" : `requests for ${operations.join(", ")}`;
      return {
        evidence: [`The limit ${id} allows ${perSecond} ${what} in a second, ${burst} at once; ${of} went beyond it.`],
        advice: [
          "Try again after a pause that grows each time, or send fewer requests at once.",
          "Or change the limit: `rates` in cosbox.yaml, `cosbox rates`, or PUT /v1/rates of the admin listener.",
        ],
      };
    }
    case "limit": {
      const { name, bound, told } = evidence;
      return {
        evidence: [told, `The limit ${name} is ${bound}.`],
        advice: [`Keep within it, or change it: --limit ${name}=…, or ${name} under limits in cosbox.yaml.`],
      };
    }
    case "state": {
      const { of, state, sinceMs, nowMs, overdue } = evidence;
      const [kind = "", ...names] = of.split("/");
      const subject = [`the ${kind}`, ...(names.length === 0 ? [] : [names.join("/")])].join(" ");
      const late = overdue ? [`It is ${time(nowMs)}, and after a day in arrears an account is suspended.`] : [];
      return {
        evidence: [`Somebody has set ${subject} to ${state}, at ${time(sinceMs)}.`, ...late],
        advice: ["Set it to active when that is over: PUT /v1/states of the admin listener, or `cosbox states`."],
      };
    }
    case "object": {
      const { lockedUntilMs, nowMs, restore, storageClass, tier = "", version } = evidence;
      const where = tier === "" ? storageClass : `${storageClass}, in the tier ${tier}`;
      const facts = [`The version is ${version}, of the class ${where}. It is ${time(nowMs)}.`];
      const advice: string[] = [];
      if (lockedUntilMs !== undefined) {
        facts.push(`It is locked until ${time(lockedUntilMs)}.`);
        advice.push(
          "Nobody can do this before, not even the owner: use another key, or in development advance the clock (`cosbox clock`).",
        );
      }
      if (restore !== undefined) {
        facts.push(`A restored copy is there from ${time(restore.readyMs)} until ${time(restore.expiresMs)}.`);
        if (nowMs < restore.readyMs) advice.push("Wait until it is there, or in development advance the clock.");
      } else if (/ARCHIVE(_ACCESS)?$/.test(where) && lockedUntilMs === undefined) {
        facts.push("No restored copy is there.");
        advice.push("Restore it first (POST ?restore), which takes its time; in development advance the clock.");
      }
      return { evidence: facts, advice };
    }
    case "bucket": {
      const { configurations, lock, versioning } = evidence;
      const byDefault = lock?.days === undefined ? "" : `, for ${lock.days} days by default`;
      const locks =
        lock === undefined ? "cannot be locked." : `can be locked (generation ${lock.generation}${byDefault}).`;
      const configured = configurations.length === 0 ? "nothing" : configurations.join(", ");
      return {
        evidence: [
          `The bucket's versioning: ${versioning ?? "never configured"}. Its objects ${locks}`,
          `It is configured with ${configured}.`,
        ],
        advice: ["Use another bucket for one of the two."],
      };
    }
    case "referer": {
      const { referer, type, matched } = evidence;
      const list = type === "White-List" ? "a list of the pages that may" : "a list of the pages that may not";
      if (referer === undefined) {
        return {
          evidence: ["The request has no Referer, and the bucket's referer rules refuse those."],
          advice: ["Sign the request, or set EmptyReferConfiguration of the bucket's referer rules to Allow."],
        };
      }
      return {
        evidence: [
          `The Referer is ${JSON.stringify(referer)}.`,
          `The bucket's referer rules are ${list}; ${matched === undefined ? "none covers it" : `${JSON.stringify(matched)} covers it`}.`,
        ],
        advice: ["Sign the request, or change the bucket's referer rules (?referer)."],
      };
    }
    case "cors":
      return ofCors(evidence);
    case "unsigned": {
      const { part, name, rule } = evidence;
      return {
        evidence: [
          `The ${part} ${JSON.stringify(name)} is not signed; the rule ${JSON.stringify(rule)} wants it signed.`,
        ],
        advice: [
          `Sign the ${part} (${part === "header" ? "q-header-list" : "q-url-param-list"}), or change the bucket's strict signature rules.`,
        ],
      };
    }
  }
}

const NEEDS: Readonly<Record<CorsEvidence["need"], readonly [told: string, otherwise: string]>> = {
  preflight: ["A browser asked whether the page may send it.", ""],
  "published-keys": [
    "A web page signed it with the development keys, which every page knows, so a CORS rule has to admit the page.",
    "Or start the server with keys of your own (COSBOX_SECRET_ID, COSBOX_SECRET_KEY).",
  ],
  "unsigned-write": [
    "A web page wrote without a signature to a server that takes the development keys, so a CORS rule has to admit the page.",
    "Or start the server with keys of your own (COSBOX_SECRET_ID, COSBOX_SECRET_KEY).",
  ],
};

const quoted = (texts: readonly string[]): string => texts.map((text) => JSON.stringify(text)).join(", ");

function nearestText({ number, id, stops, value, admits }: CorsNearest): string {
  const name = id === undefined ? `Rule ${number}` : `Rule ${number} (${JSON.stringify(id)})`;
  const admitted = admits.length === 0 ? "none" : quoted(admits);
  return `${name} comes nearest; the ${stops} ${JSON.stringify(value)} stops it: it admits ${admitted}.`;
}

function ofCors({ origin, method, headers, rules, nearest, need }: CorsEvidence): Part {
  const [told, otherwise] = NEEDS[need];
  const wanted =
    origin === undefined
      ? "The browser tells no origin of the page, so no rule can admit it."
      : `The page is of the origin ${JSON.stringify(origin)}, and the request a ${method}${headers.length === 0 ? "" : ` with the headers ${quoted(headers)}`}.`;
  const had =
    rules === 0
      ? ["The bucket has no CORS rules, or is not there."]
      : nearest === undefined
        ? []
        : [`None of the bucket's ${rules} CORS rules admits it. ${nearestText(nearest)}`];
  const rule = [
    ["AllowedOrigin", origin ?? ""],
    ["AllowedMethod", method],
    ...headers.map((name) => ["AllowedHeader", name]),
  ];
  const mend =
    origin === undefined
      ? []
      : [`Put a CORS rule on the bucket (?cors) with ${rule.map(([name, text]) => `${name} ${text}`).join(", ")}.`];
  return { evidence: [told, wanted, ...had], advice: [...mend, ...(otherwise === "" ? [] : [otherwise])] };
}

function ofAccess({ access }: DecisionRecord): Part {
  if (access === undefined) return { evidence: [], advice: [] };
  const { acl, action, decision, trace = [], wouldAllow, wouldAllowIn = ["bucket policy"] } = access;
  const facts = [`Asked for: ${action}. Decision: ${decision}.`];
  for (const { of, statements } of trace) {
    for (const { label, effect, outcome } of statements) {
      facts.push(
        `${of}, ${label} (${effect}): ${outcome === "matched" ? "it matches" : `its ${outcome} does not match`}.`,
      );
    }
  }
  if (acl !== undefined) {
    const granted = acl.grants.length === 0 ? "nothing to anybody but the owner" : acl.grants.join(", ");
    facts.push(`ACL: it would have to grant ${acl.asked} or FULL_CONTROL; it grants ${granted}.`);
  }
  if (wouldAllow === undefined) {
    return { evidence: facts, advice: ["Change the statement that denies; one that allows does not outweigh it."] };
  }
  const { Principal: _whom, ...attached } = wouldAllow;
  const advice = wouldAllowIn.flatMap((place) => [
    `${wouldAllowIn.length > 1 ? "Needed" : "The smallest statement that would allow it"}, in ${PLACES[place]}:`,
    JSON.stringify(place === "bucket policy" ? wouldAllow : attached),
  ]);
  return { evidence: facts, advice };
}

const PLACES = {
  "bucket policy": "the policy of the bucket",
  "session policy": "the policy that the temporary keys are made with",
  "user policy": "a policy of the user",
} as const;

const BRIEF = "Not kept: more was refused in that second than is kept with all its reasons. Send the request again.";

/** The whole text, ending in a newline. No control character of a client's is in it. */
export function explanation(record: DecisionRecord): string {
  const { errorId, evidence, steps } = record;
  const lines: string[] = [
    `${record.method} ${record.target} at ${record.host}`,
    `${time(record.at)}  RequestId ${record.requestId}`,
    [
      `caller ${record.caller ?? "not known"}`,
      ...(record.operation === undefined ? [] : [`operation ${record.operation}`]),
      ...(record.dialect === undefined ? [] : [`dialect ${record.dialect}`]),
    ].join(", "),
    "",
  ];
  if (errorId === undefined) {
    lines.push(`It was answered with ${record.status}.`);
  } else {
    const row = CATALOGUE[errorId];
    const told = evidence === undefined ? { evidence: [], advice: [] } : ofEvidence(evidence);
    const access = ofAccess(record);
    const facts = [...told.evidence, ...access.evidence];
    // The decision says what the cause says.
    if (record.cause !== undefined && record.access === undefined) facts.push(`Found: ${record.cause}.`);
    const advice = [...told.advice, ...access.advice];
    if (record.brief) facts.push(BRIEF);
    const raised = `It is raised when ${row.raisedWhen}.`;
    const known = ADVICE[errorId];
    if (advice.length === 0) advice.push(known ?? (facts.length > 0 ? raised : OTHERWISE));
    if (facts.length === 0) facts.push(raised);
    lines.push(`Refused with ${row.status} ${row.code}: ${record.message ?? row.message}`);
    lines.push("", "Evidence", ...facts.map((fact) => `  ${fact}`));
    lines.push("", "What to do", ...advice.map((one) => `  ${one}`));
  }
  if (record.fault !== undefined && evidence?.kind !== "fault") {
    lines.push("", `The fault ${record.fault} happened to it, which somebody has asked for (GET /v1/faults).`);
  }
  const timed = steps.map(({ name, ms, refused }) => `${name} ${ms} ms${refused ? " (refused)" : ""}`);
  if (timed.length > 0) lines.push("", `Steps: ${timed.join(", ")}`);
  return `${lines.map(printable).join("\n")}\n`;
}

/** A key or a header may hold what moves a terminal's cursor or turns its text around. */
function printable(line: string): string {
  return line.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
