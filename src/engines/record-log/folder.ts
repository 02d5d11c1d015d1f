import { join } from "node:path";

/** Where the records of refusals lie in a data folder. */
export function refusalFolder(data: string): string {
  return join(data, "refusals");
}
