// Writes the generated pages of the documentation: `npm run docs`.

import { mkdirSync, writeFileSync } from "node:fs";
import { PAGES, ROOT } from "./docs/pages.ts";

for (const page of PAGES) {
  const file = new URL(page.path, ROOT);
  mkdirSync(new URL(".", file), { recursive: true });
  writeFileSync(file, await page.render());
  console.log(page.path);
}
