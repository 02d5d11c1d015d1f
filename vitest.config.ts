import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/**
 * `vitest run` runs the tests that every change must pass. The suites that take minutes, need a browser or kill
 * processes live in folders of their own and run by name: `vitest run --mode crash` runs test/crash.
 */
const APART = ["browser", "crash", "long"];

export default defineConfig(({ mode }) => ({
  test: {
    include: APART.includes(mode) ? [`test/${mode}/**/*.test.ts`] : ["src/**/*.test.ts", "test/**/*.test.ts"],
    exclude: ["**/node_modules/**", ...APART.filter((name) => name !== mode).map((name) => `test/${name}/**`)],
    // Each file in a process of its own: LMDB keeps its environments per process, and a test may end one.
    pool: "forks",
    // Tests that kill servers measure their time and mount disks: one after the other.
    fileParallelism: mode !== "crash",
    // Many tests wait for processes and timers; by itself vitest would leave one of two cores to them.
    ...(mode !== "crash" && { maxWorkers: Math.max(2, availableParallelism() - 1) }),
    testTimeout: 20_000,
    hookTimeout: 20_000,
    restoreMocks: true,
    unstubEnvs: true,
    coverage: { provider: "v8", include: ["src/**/*.ts"], exclude: ["src/**/*.test.ts"] },
  },
}));
