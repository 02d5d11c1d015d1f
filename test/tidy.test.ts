/**
 * Reads the tree and reports what no compiler or linter here can see. Every rule is a row of RULES with a planted
 * example that it must find and a near miss that it must let pass, so a rule that has gone blind fails as well.
 * Imports against the flow are held by `npm run imports`; here are only the few that would hurt most.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, extname, join, posix, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, it } from "vitest";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const FOLDERS = ["src", "test", "scripts", "bench", "docs", "console", ".ci"];
const SELF = "test/tidy.test.ts";
/** What src/ offers to tests: engines that hold time and chance still, and the signer's side of a signature. */
const FOR_TESTS = ["src/engines/clock/manual.ts", "src/engines/random/seeded.ts", "src/dialects/cos/sign.ts"];
const GENERATED = /^docs\/reference\/|^src\/store\/crc64-wasm\.ts$/;

interface Source {
  /** From the root, with "/" between the parts. */
  readonly path: string;
  readonly text: string;
}

interface Rule {
  readonly promise: string;
  readonly covers: (path: string) => boolean;
  /** What is wrong, one line each; empty when nothing is. `code` is the text without its comments. */
  readonly offences: (source: Source, code: string) => readonly string[];
  /** Sources that break the rule, and sources that look as if they did. */
  readonly planted: readonly Source[];
  readonly innocent: readonly Source[];
}

/** The text without comments; what stands in quotes stays, so that a URL is not taken for a comment. */
function withoutComments(text: string): string {
  return text.replace(
    /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|(^|[^:\\])\/\/[^\n]*/g,
    (_, quoted: string | undefined, before: string | undefined) => quoted ?? before ?? "",
  );
}

/** The code with the contents of its strings blanked, for rules about calls and operators. */
function withoutStrings(code: string): string {
  return code.replace(/"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g, '""');
}

const matches = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([found]) => found.trim());
const isTest = (path: string) => path.endsWith(".test.ts");
const isProduct = (path: string) => path.startsWith("src/") && path.endsWith(".ts") && !isTest(path);
const isCode = (path: string) => /\.(ts|tsx|mjs|cjs)$/.test(path);
const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`).replace(/^-/, "");
const src = (path: string, text: string): Source => ({ path: `src/${path}`, text });

/** Paths from the root that a source imports, for relative imports of any form. */
function importsOf({ path, text }: Source): string[] {
  const found = withoutComments(text).matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*|\bnew URL\(\s*)"(\.{1,2}\/[^"]+)"/g);
  return [...found].map(([, to = ""]) => posix.join(posix.dirname(path), to));
}

/** Who may not import whom, and why that would hurt. */
const FLOW: readonly { readonly from: RegExp; readonly to: RegExp; readonly but?: RegExp }[] = [
  { from: /^src\/errors\//, to: /./, but: /^src\/errors\// },
  { from: /^src\/ports\//, to: /./, but: /^src\/ports\// },
  { from: /^src\/(store|features|operations|http|access|xml)\//, to: /^src\/engines\// },
  { from: /^src\/(store|engines)\//, to: /^src\/(features|operations|http|dialects)\// },
  { from: /^src\/features\//, to: /^src\/dialects\// },
  { from: /^src\/dialects\//, to: /^src\/(features|store|engines)\// },
];

/** Whether an operand of a comparison is a secret, and the other a value that a client could have sent. */
function isGuessable(operand: string, other: string): boolean {
  return (
    /(?:signature|hmac|secretKey|sessionToken|securityToken|signKey|hexDigest)$/i.test(operand) &&
    !/^(?:undefined|null|""|\d+|(?:\w+\.)*[A-Z][A-Z0-9_]+)$/.test(other)
  );
}

const RULES: readonly Rule[] = [
  {
    promise: "imports go with the flow",
    covers: isProduct,
    offences: (source) =>
      importsOf(source).filter((to) =>
        FLOW.some((rule) => rule.from.test(source.path) && rule.to.test(to) && rule.but?.test(to) !== true),
      ),
    planted: [
      src("errors/a.ts", 'import type { B } from "../ports/b.ts";'),
      src("ports/a.ts", 'export { b } from "../errors/b.ts";'),
      src("features/x/a.ts", 'const b = await import("../../engines/metadata/memory.ts");'),
      src("store/a.ts", 'import "../http/server.ts";'),
      src("dialects/cos/a.ts", 'import { b } from "../../features/x/model.ts";'),
    ],
    innocent: [
      src("features/x/a.ts", '// import { b } from "../../engines/b.ts";\nimport { c } from "../y/model.ts";'),
    ],
  },
  {
    promise: "relative imports end in .ts",
    covers: (path) => /\.tsx?$/.test(path) && path !== SELF,
    offences: (source) =>
      importsOf(source).filter((to) => !/\.(tsx?|mjs|cjs|json|py|go|wasm)$/.test(to) && !to.endsWith("/")),
    planted: [src("a.ts", 'import { b } from "./b.js";'), src("a.ts", 'export * from "./b";')],
    innocent: [src("a.ts", 'import { b } from "./b.ts"; const c = new URL("../", import.meta.url);')],
  },
  {
    promise: "the time of day is read only in src/engines and src/cli",
    covers: (path) => isProduct(path) && !/^src\/(engines|cli)\//.test(path),
    offences: (_, code) =>
      matches(withoutStrings(code), /\bnew Date\(\s*\)|(?<!new )(?<![\w.])Date\(\s*\)|(?<!: )\bDate\b(?=\s*[;,}\]=])/g),
    planted: [
      src("http/a.ts", "const a = new Date();"),
      src("http/a.ts", "const a = Date();"),
      src("http/a.ts", "const { now } = Date;"),
    ],
    innocent: [
      src(
        "http/a.ts",
        'const a = new Date(clock.now()); // not new Date()\nconst name = "Date"; f(a: Date) {}; interface A { now(): Date; }',
      ),
    ],
  },
  {
    promise: "what a forger could guess byte by byte is compared in constant time",
    covers: isProduct,
    offences: (_, code) =>
      [...withoutStrings(code).matchAll(/([\w.]+|\)|"")\s*[!=]==?\s*([\w.]+|"")/g)]
        .filter(([, left = "", right = ""]) => isGuessable(left, right) || isGuessable(right, left))
        .map(([comparison]) => comparison),
    planted: [
      src("a.ts", "if (given.signature === expected) pass();"),
      src("a.ts", "if (expected !== credentials.signature) refuse();"),
      src("a.ts", "return createHmac(name, key) == hexDigest;"),
      src("a.ts", "if (account.secretKey === secretKey) pass();"),
    ],
    innocent: [
      src("a.ts", "if (signature === undefined || signature.length !== 40) refuse();"),
      src("a.ts", "if (state.token !== manifestId) return; // a fence, not a secret"),
      src("a.ts", 'if (part === "signature") read();'),
    ],
  },
  {
    promise: "no regular expression is made from text that a client sent",
    covers: isProduct,
    offences: (_, code) =>
      matches(code, /\bnew RegExp\([^)]*\)|(?<![\w.])RegExp\([^)]*\)/g).filter(
        (found) => !/\([A-Z][A-Z_]*\.source\b/.test(found),
      ),
    planted: [src("a.ts", "const a = new RegExp(prefix);"), src("a.ts", 'const a = RegExp("^" + prefix);')],
    innocent: [src("a.ts", 'const a = new RegExp(NOTABLE.source, "gu");')],
  },
  {
    promise: "the environment is read only in src/config and src/cli",
    covers: (path) => isProduct(path) && !/^src\/(config|cli)\//.test(path),
    offences: (_, code) => matches(code, /\bprocess\s*\.\s*env\b|\bprocess\[|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b/g),
    planted: [src("http/a.ts", "const a = process.env.HOME;"), src("http/a.ts", "const { env } = process;")],
    innocent: [src("http/a.ts", "process.emitWarning(text);")],
  },
  {
    promise: "no marker of unfinished work stays behind",
    covers: (path) => (isCode(path) || /\.(md|sh|py|go)$/.test(path)) && path !== SELF,
    offences: ({ path, text }, code) =>
      matches(text, /\b(?:TODO|FIXME|HACK)\b|\bXXX\b(?!X)|^(?:<{7}|>{7})\s/gm).concat(
        matches(text, /@ts-(?:ignore|nocheck)\b|@ts-expect-error(?=\s*$)|^\s*debugger;/gm),
        isCode(path) ? matches(code, /\bas any\b/g) : [],
      ),
    planted: [
      src("a.ts", "// TODO: later"),
      src("a.ts", "// @ts-ignore"),
      src("a.ts", "// @ts-expect-error\nf();"),
      src("a.ts", "const a = b as any;"),
      src("a.ts", "<<<<<<< ours"),
    ],
    innocent: [src("a.ts", "// @ts-expect-error an id that was not declared does not compile\nmethods.todoList();")],
  },
  {
    promise: "no test is left out or run alone, except with a printed reason",
    covers: isTest,
    offences: (_, code) =>
      matches(
        withoutStrings(code),
        /\b(?:it|test|describe)\.(?:skip|only|todo|fails)\b|\b(?:xit|xdescribe|fit|fdescribe)\(|\bskip\(\s*\)/g,
      ),
    planted: [
      src("a.test.ts", 'it.skip("stores", () => {});'),
      src("a.test.ts", 'describe.only("PutObject", () => {});'),
      src("a.test.ts", "context.skip();"),
    ],
    innocent: [src("a.test.ts", 'if (GO === undefined) context.skip("COSBOX_TEST_GO is not set");')],
  },
  {
    promise: "the title of a test states a promise: two words or more, no “should”, not twice in one file",
    covers: isTest,
    offences: ({ text }) => {
      const seen = new Set<string>();
      const offences: string[] = [];
      let group = "";
      for (const [, kind, title = ""] of withoutComments(text).matchAll(
        /^\s*(describe|it|test)\(\s*"((?:\\.|[^"\\])*)"/gm,
      )) {
        if (kind === "describe") {
          group = title;
          continue;
        }
        const full = `${group}: ${title}`;
        if (/\bshould\b/i.test(title) || title.trim().split(/\s+/).length < 2 || seen.has(full)) offences.push(title);
        seen.add(full);
      }
      return offences;
    },
    planted: [
      src("a.test.ts", 'it("should store", () => {});'),
      src("a.test.ts", 'it("works", () => {});'),
      src("a.test.ts", 'it("stores bytes", f);\nit("stores bytes", g);'),
    ],
    innocent: [
      src("a.test.ts", 'describe("A", f);\nit("stores bytes", f);\ndescribe("B", f);\nit("stores bytes", g);'),
    ],
  },
  {
    promise: "files are named in kebab case and for what they hold, never Manager, Helper or Util",
    covers: (path) => /^(src|test|scripts|bench)\//.test(path),
    offences: ({ path }) => {
      const name = basename(path);
      const shape = /\.(py|go|mod|sum)$/.test(name) ? /^[a-z0-9_]+(\.[a-z]+)$/ : /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)+$/;
      return shape.test(name) && !/(^|-)(manager|helpers?|utils?|misc|common)([.-]|$)/.test(name) ? [] : [name];
    },
    planted: [src("putObject.ts", ""), src("Put.ts", ""), src("store-utils.ts", ""), src("helper.ts", "")],
    innocent: [src("put-object.ts", ""), src("put-object.test.ts", ""), src("v4.d.ts", "")],
  },
  {
    promise: "nothing is called a Manager, Helper or Util",
    covers: isCode,
    offences: (_, code) =>
      matches(
        withoutStrings(code),
        /\b(?:class|interface|type|function|const)\s+\w*(?:Manager|Helper|Util|Utils|Impl)\b/g,
      ),
    planted: [src("a.ts", "export class LockManager {}"), src("a.ts", "const pathUtils = {};")],
    innocent: [src("a.ts", "const utility = 1; import { isPromise } from 'node:util';")],
  },
  {
    promise: "an operation's file is named for the operation",
    covers: (path) => isProduct(path) && path.startsWith("src/features/"),
    offences: ({ path }, code) =>
      [...code.matchAll(/^export const (\w+)(?::[^=]+)? = operation\(/gm)]
        .map(([, name = ""]) => name)
        .filter((name) => basename(path) !== `${kebab(name)}.ts`),
    planted: [src("features/object/put.ts", "export const putObject = operation(\n")],
    innocent: [src("features/object/put-object.ts", "export const putObject = operation(\n")],
  },
  {
    promise: "no path of somebody's machine and no address of a package registry is written down",
    covers: (path) => path !== SELF,
    offences: ({ text }) =>
      matches(
        text,
        /(?<![\w.~-])\/(?:work|farm|home|root|Users)\/[\w.-]+|(?<![\w.~-])\/tmp\/(?:brief|tc)\b|\bhttps?:\/\/(?:registry|repo1?|deb|proxy)\.[\w.-]+|"resolved": "http/g,
      ),
    planted: [
      src("a.ts", `// see ${["", "work", "shared"].join("/")}/design.md`),
      src("a.ts", `const home = "${["", "home", "me"].join("/")}";`),
      { path: ".ci/run", text: `npm --registry ${["https:", "", "registry.example.org"].join("/")}` },
    ],
    innocent: [src("a.ts", 'const data = "/srv/work/.cosbox"; const url = "https://cloud.tencent.com/document";')],
  },
];

function readTree(): Source[] {
  const sources: Source[] = [];
  const read = (full: string) => {
    const path = relative(ROOT, full).split(sep).join("/");
    if (GENERATED.test(path) || /\.(png|ico|woff2?|wasm|bin|pem|tsbuildinfo)$/.test(path)) return;
    sources.push({ path, text: readFileSync(full, "utf8") });
  };
  const walk = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (["node_modules", "dist", "__pycache__"].includes(entry.name)) continue;
      if (entry.isDirectory()) walk(join(folder, entry.name));
      else if (entry.isFile()) read(join(folder, entry.name));
    }
  };
  for (const folder of FOLDERS) if (existsSync(join(ROOT, folder))) walk(join(ROOT, folder));
  for (const name of readdirSync(ROOT))
    if (/\.(md|json|cjs|mjs|ts)$/.test(name) && !name.includes(".tmp.")) read(join(ROOT, name));
  return sources;
}

/** Files that no entry reaches by imports or by being named in the text of one that is reached. */
function unreached(sources: readonly Source[], entries: readonly string[]): string[] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const reached = new Set<string>();
  const waiting = entries.filter((path) => byPath.has(path));
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    const source = byPath.get(path);
    if (source === undefined) continue;
    for (const to of importsOf(source)) if (byPath.has(to)) waiting.push(to);
    // A program that a test or script starts is named by its file, not imported.
    if (!isProduct(path)) {
      for (const { path: other } of sources)
        if (!isProduct(other) && source.text.includes(basename(other))) waiting.push(other);
    }
  }
  return sources.map(({ path }) => path).filter((path) => !reached.has(path));
}

const TREE = readTree();

describe("the tree", () => {
  it("is read: sources, tests, scripts and documents", () => {
    const paths = new Set(TREE.map(({ path }) => path));
    for (const path of ["src/cli/main.ts", "scripts/ready.mjs", "README.md", "package.json", SELF])
      assert.ok(paths.has(path), path);
  });

  for (const rule of RULES) {
    it(`keeps it so that ${rule.promise}`, () => {
      const found = TREE.filter(({ path }) => rule.covers(path)).flatMap((source) =>
        rule.offences(source, withoutComments(source.text)).map((offence) => `${source.path}: ${offence}`),
      );
      assert.deepEqual(found, []);
    });
  }

  it("has no source file that the command and the library never load", () => {
    const product = TREE.filter(({ path }) => isProduct(path));
    assert.deepEqual(
      unreached(product, ["src/cli/main.ts", "src/cli/worker.ts", "src/library.ts", "src/vitest.ts", ...FOR_TESTS]),
      [],
    );
  });

  it("has no test support or script that nothing uses", () => {
    const support = TREE.filter(
      ({ path }) => !isProduct(path) && /^(src|test|scripts|bench|\.ci)\/|^package\.json$/.test(path),
    );
    const entries = support
      .map(({ path }) => path)
      .filter((path) => isTest(path) || path === "package.json" || path === ".ci/run");
    const named = support.filter(
      ({ path }) => extname(path) !== ".md" && !/(^|\/)(go\.(mod|sum)|tsconfig\.json)$|^bench\/results\//.test(path),
    );
    assert.deepEqual(unreached(named, entries), []);
  });

  it("names every package by its exact version and no download address", () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Record<
      string,
      Record<string, string>
    >;
    const versions = ["dependencies", "devDependencies", "optionalDependencies", "overrides"].flatMap((kind) =>
      Object.entries(manifest[kind] ?? {}),
    );
    assert.ok(versions.length > 0);
    assert.deepEqual(
      versions.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)),
      [],
    );
  });
});

describe("the rules of the tree", () => {
  for (const rule of RULES) {
    it(`find what is planted against: ${rule.promise}`, () => {
      for (const source of rule.planted) {
        assert.ok(rule.covers(source.path), `${source.path} is not covered`);
        assert.notDeepEqual(rule.offences(source, withoutComments(source.text)), [], source.path + source.text);
      }
      for (const source of rule.innocent) {
        assert.deepEqual(rule.offences(source, withoutComments(source.text)), [], source.path + source.text);
      }
    });
  }

  it("find a file that nothing imports, and one that only itself names", () => {
    const sources = [
      src("cli/main.ts", 'import { a } from "../a.ts";'),
      src("a.ts", ""),
      src("b.ts", 'import { c } from "./c.ts";'),
      src("c.ts", 'import { b } from "./b.ts";'),
    ];
    assert.deepEqual(unreached(sources, ["src/cli/main.ts"]), ["src/b.ts", "src/c.ts"]);
  });
});
