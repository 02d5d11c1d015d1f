/**
 * The simulations of test/simulation with more runs than an everyday test has time for: minutes to hours, by the same
 * variables. `vitest run --mode long`.
 */

process.env["COSBOX_HISTORIES"] ??= "10000";
process.env["COSBOX_LIST_WALKS"] ??= "2000";
process.env["COSBOX_MODEL_RUNS"] ??= "3000";
process.env["COSBOX_ROT_INJURIES"] ??= "100000";
process.env["COSBOX_VERSION_RACES"] ??= "500";

await import("../simulation/bit-rot.test.ts");
await import("../simulation/model.test.ts");
await import("../simulation/linearizability.test.ts");
await import("../simulation/listing-under-writers.test.ts");
await import("../simulation/versioning-races.test.ts");

// A file without an import or export of its own would be no module, and could not wait.
export const SIMULATIONS = 5;
