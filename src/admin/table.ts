/** Every route of the admin listener, in the order of its document. */

import { openApiDocument } from "./openapi.ts";
import { type AdminRoute, adminRoute } from "./route.ts";
import { ACCOUNT_ROUTES } from "./routes/accounts.ts";
import { CLOCK_ROUTES } from "./routes/clock.ts";
import { ERROR_ROUTES } from "./routes/errors.ts";
import { FAULT_ROUTES } from "./routes/faults.ts";
import { HEALTH_ROUTES } from "./routes/health.ts";
import { NAMESPACE_ROUTES } from "./routes/namespaces.ts";
import { OBSERVE_ROUTES } from "./routes/observe.ts";
import { RATE_ROUTES } from "./routes/rates.ts";
import { KMS_ROUTES } from "./routes/kms.ts";
import { REQUEST_ROUTES } from "./routes/requests.ts";
import { STATE_ROUTES } from "./routes/state.ts";
import { STATES_ROUTES } from "./routes/states.ts";
import { WORKER_ROUTES } from "./routes/workers.ts";

export const ADMIN_ROUTES: readonly AdminRoute[] = [
  ...HEALTH_ROUTES,
  ...REQUEST_ROUTES,
  ...OBSERVE_ROUTES,
  ...ERROR_ROUTES,
  ...FAULT_ROUTES,
  ...CLOCK_ROUTES,
  ...WORKER_ROUTES,
  ...ACCOUNT_ROUTES,
  ...STATES_ROUTES,
  ...RATE_ROUTES,
  ...KMS_ROUTES,
  ...STATE_ROUTES,
  ...NAMESPACE_ROUTES,
  adminRoute({
    method: "GET",
    path: "/v1/openapi.json",
    name: "getOpenApi",
    about: "This document.",
    area: "health",
    answer: "application/json",
    handle: async () => ({
      contentType: "application/json",
      text: JSON.stringify(await openApiDocument(ADMIN_ROUTES)),
    }),
  }),
];
