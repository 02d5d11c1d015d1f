// Which part may import which. The layout and its reasons are in docs/architecture.md.
const TESTS = "[.]test[.]ts$";

module.exports = {
  forbidden: [
    {
      name: "no-cycles",
      comment:
        "Two files that are one idea, or an idea in the wrong file. What is loaded late may name its loader's types.",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["dynamic-import"] } },
    },
    {
      name: "no-unresolvable",
      comment: "An import that leads nowhere, or to a package that package.json does not name.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "errors-import-nothing",
      severity: "error",
      from: { path: "^src/errors/", pathNot: TESTS },
      to: { pathNot: "^src/errors/" },
    },
    {
      name: "ports-import-only-ports",
      comment: "A port says what the core needs; it knows neither an engine nor the protocol.",
      severity: "error",
      from: { path: "^src/ports/", pathNot: TESTS },
      to: { pathNot: "^src/ports/", dependencyTypesNot: ["core"] },
    },
    {
      name: "xml-imports-only-the-parser",
      severity: "error",
      from: { path: "^src/xml/", pathNot: TESTS },
      to: { path: "^src/", pathNot: "^src/xml/" },
    },
    {
      name: "config-imports-only-config",
      comment: "Policies in cosbox.yaml are read where their lines are known; reading one decides nothing.",
      severity: "error",
      from: { path: "^src/config/", pathNot: TESTS },
      to: { path: "^src/", pathNot: "^src/(config/|limits[.]ts$|access/policy/read-policy[.]ts$)" },
    },
    {
      name: "engines-know-no-protocol",
      comment: "The signature of the cloud's API is pure, and is made for one of its services and checked as another.",
      severity: "error",
      from: { path: "^src/engines/", pathNot: TESTS },
      to: { path: "^src/", pathNot: "^src/(engines|ports|config)/|^src/tc3[.]ts$" },
    },
    {
      name: "store-knows-no-protocol",
      comment: "The store is records and transactions above the ports; requests and answers end above it.",
      severity: "error",
      from: { path: "^src/store/", pathNot: TESTS },
      to: { path: "^src/", pathNot: "^src/(store|ports|errors)/" },
    },
    {
      name: "access-decides-from-records",
      severity: "error",
      from: { path: "^src/access/", pathNot: TESTS },
      to: {
        path: "^src/",
        pathNot: "^src/(access/|ports/|errors/|store/(records|bytes|configurations|tags|version-id)[.]ts$)",
      },
    },
    {
      name: "accounts-know-no-request",
      comment: "Who there is, and what their keys stand for; how they are asked about is a dialect's or the STS's.",
      severity: "error",
      from: { path: "^src/accounts/", pathNot: TESTS },
      to: { path: "^src/", pathNot: "^src/(accounts|access|ports|errors|store)/|^src/limits[.]ts$" },
    },
    {
      name: "only-assembly-chooses-engines",
      severity: "error",
      from: { path: "^src/", pathNot: `^src/(engines/|cli/|assembly/|(library|vitest)[.]ts$)|${TESTS}` },
      to: { path: "^src/engines/" },
    },
    {
      name: "only-engines-import-drivers",
      severity: "error",
      from: { path: "^src/", pathNot: `^src/engines/|${TESTS}` },
      to: { path: "(^|node_modules/)(lmdb|pg|@aws-sdk/[^/]+)(/|$)" },
    },
    {
      name: "only-engines-config-folders-and-cli-touch-files",
      severity: "error",
      from: { path: "^src/", pathNot: `^src/(engines|config|folders|cli)/|${TESTS}` },
      to: { path: "^(node:)?fs(/|$)" },
    },
    {
      name: "features-meet-in-their-models",
      comment:
        "storeObject and takeBody are what every operation that writes an object shares, so they count as model.",
      severity: "error",
      from: { path: "^src/features/([^/]+)/", pathNot: TESTS },
      to: {
        path: "^src/features/",
        pathNot: "^src/features/($1/|[^/]+/model[.]ts$|object/(store-object|take-body)[.]ts$)",
      },
    },
    {
      name: "features-know-no-dialect",
      comment: "A feature works the same whichever dialect or command asked for it.",
      severity: "error",
      from: { path: "^src/features/", pathNot: TESTS },
      to: { path: "^src/(dialects|config|cli)/|^src/assembly/|^src/library[.]ts$" },
    },
    {
      name: "features-are-entered-by-their-index",
      severity: "error",
      from: { path: "^src/", pathNot: `^src/features/|${TESTS}` },
      to: { path: "^src/features/", pathNot: "^src/features/[^/]+/(index|model)[.]ts$" },
    },
    {
      name: "only-the-table-lists-features",
      severity: "error",
      from: { path: "^src/operations/", pathNot: `^src/operations/table[.]ts$|${TESTS}` },
      to: { path: "^src/(features|dialects|engines|config|cli)/" },
    },
    {
      name: "dialects-decide-nothing",
      comment: "A dialect translates; decisions are made in access/ and features/, state is kept in store/.",
      severity: "error",
      from: { path: "^src/dialects/([^/]+)/", pathNot: TESTS },
      to: { path: "^src/(features|store|engines|config|cli|dialects)/", pathNot: "^src/dialects/$1/" },
    },
    {
      name: "addressing-is-shared-by-dialects",
      comment:
        "Where a request points is read alike in every dialect and for namespaces; features see only what came of it.",
      severity: "error",
      from: { path: "^src/", pathNot: `^src/(addressing|assembly|dialects|namespaces)/|${TESTS}` },
      to: { path: "^src/addressing/" },
    },
    {
      name: "dialects-are-entered-by-their-index",
      severity: "error",
      from: { path: "^src/", pathNot: `^src/(assembly|dialects)/|${TESTS}` },
      to: { path: "^src/dialects/", pathNot: "^src/dialects/[^/]+/index[.]ts$" },
    },
    {
      name: "http-serves-any-operation",
      comment: "The pipeline is handed its operations and dialects; it names none of them.",
      severity: "error",
      from: { path: "^src/http/", pathNot: TESTS },
      to: { path: "^src/(features|engines|config|cli)/|^src/operations/table[.]ts$" },
    },
    {
      name: "nothing-imports-the-command",
      severity: "error",
      from: { path: "^src/", pathNot: `^src/cli/|${TESTS}` },
      to: { path: "^src/cli/" },
    },
    {
      name: "the-product-imports-no-test",
      severity: "error",
      from: { path: "^src/", pathNot: TESTS },
      to: { path: `^(test|bench|scripts)/|${TESTS}` },
    },
    {
      name: "the-product-imports-no-development-package",
      severity: "error",
      from: { path: "^src/", pathNot: TESTS },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"] },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(dist|coverage)/" },
    // TypeScript 7 has no compiler interface for tools; swc reads the files, and counts `import type` like any other.
    parser: "swc",
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default"] },
  },
};
