import { adminPage, openApiPage } from "./admin-page.ts";
import { differencesPage } from "./differences-page.ts";
import { errorExamplesPage } from "./error-examples-page.ts";
import { errorsPage } from "./errors-page.ts";
import { operationsPage } from "./operations-page.ts";
import type { Page } from "./page.ts";
import { s3Page } from "./s3-page.ts";

/** Root of the repository. */
export const ROOT = new URL("../../", import.meta.url);

/** Every generated page. A page joins the documentation, and the freshness test, by standing in this list. */
export const PAGES: readonly Page[] = [
  errorsPage(ROOT),
  operationsPage,
  differencesPage(ROOT),
  s3Page(ROOT),
  adminPage,
  openApiPage,
  errorExamplesPage,
];
