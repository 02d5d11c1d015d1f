/** How the listener tells what the parts of a server refuse: one table, so that no call needs to catch anything. */

import { AccountFault, type AccountFaultKind } from "../accounts/administration.ts";
import { FaultRefusal, type FaultRefusalKind } from "../control/fault-control.ts";
import { LockedObjects } from "../control/reset.ts";
import { ProcessSilent } from "../control/server-control.ts";
import { SnapshotFault, type SnapshotFaultKind } from "../control/snapshots.ts";
import { NamespaceFault, type NamespaceFaultKind } from "../namespaces/namespaces.ts";
import { type KmsFault, KmsRefusal } from "../ports/kms.ts";
import { AdminRefusal, type AdminRoute } from "./route.ts";

const OF_KIND: Readonly<Record<AccountFaultKind | FaultRefusalKind | SnapshotFaultKind | NamespaceFaultKind, number>> =
  {
    NotFound: 404,
    InUse: 409,
    Invalid: 400,
    Fixed: 409,
    LimitExceeded: 409,
    NoSuchOperation: 400,
    NoSuchSnapshot: 404,
    SnapshotsNeedMemory: 409,
    TooManySnapshots: 409,
    InvalidName: 400,
    NamespaceExists: 409,
    NotOnServers: 409,
    SeveralProcesses: 409,
    TooManyFaults: 409,
    TooManyNamespaces: 409,
  };

const OF_KMS: Readonly<Partial<Record<KmsFault, readonly [status: number, code: string]>>> = {
  "unknown-key": [404, "NoSuchKey"],
  refused: [409, "KeyState"],
};

/** The refusal that tells this error of a call; undefined for a fault of our own. */
export function refusalOf(error: unknown, { outOfRange }: Pick<AdminRoute, "outOfRange">): AdminRefusal | undefined {
  if (
    error instanceof AccountFault ||
    error instanceof FaultRefusal ||
    error instanceof SnapshotFault ||
    error instanceof NamespaceFault
  ) {
    return new AdminRefusal(OF_KIND[error.kind], error.kind, error.message);
  }
  if (error instanceof KmsRefusal) {
    const [status, code] = OF_KMS[error.fault] ?? [503, "KmsUnavailable"];
    return new AdminRefusal(status, code, error.message);
  }
  if (error instanceof LockedObjects) return new AdminRefusal(409, "ObjectsLocked", error.message);
  if (error instanceof ProcessSilent) return new AdminRefusal(503, "ProcessSilent", error.message);
  if (error instanceof RangeError && outOfRange !== undefined) {
    const [status, code] = outOfRange;
    return new AdminRefusal(status, code, error.message);
  }
  return undefined;
}
