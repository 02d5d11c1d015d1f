import { startCosbox } from "cosbox";

/** One server for all test files of a run: `globalSetup: ["setup.js"]` in vitest.config. */
export default async function setup(project) {
  const cosbox = await startCosbox({ admin: "127.0.0.1:0" });
  project.provide("cosbox", cosbox.admin);
  return () => cosbox.stop();
}
