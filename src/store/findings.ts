/** What a check of a store can find. */

/** One thing that is not as it should be. */
export interface Finding {
  readonly kind: FindingKind;
  /** Whom it concerns: `object <bucket>/<key>`, or a row or blob by its name. */
  readonly where: string;
  readonly why: string;
}

interface Kind {
  /** `damage`: something that was stored is lost, or will be. `leftover`: it only takes room. */
  readonly severity: "damage" | "leftover";
  /** Completes "so many …". */
  readonly about: string;
}

const damage = (about: string): Kind => ({ severity: "damage", about });
const leftover = (about: string): Kind => ({ severity: "leftover", about });

/** Every kind of finding. `docs/maintenance.md` lists them for people. */
export const FINDINGS = {
  "format-missing": damage("stores without the row of their format"),
  "row-unreadable": damage("rows that cannot be read"),
  "row-from-newer": damage("rows that a newer version wrote"),
  "row-unknown": damage("rows of no known kind"),
  "bucket-unlisted": damage("buckets that their account does not list"),
  "bucket-missing": damage("objects and uploads of no bucket"),
  "configuration-missing": damage("configurations that their bucket names and that are missing"),
  "key-unlisted": damage("keys that their account does not list"),
  "upload-missing": damage("parts of no upload"),
  "version-misplaced": damage("versions that are not where their key is looked for"),
  "bytes-missing": damage("small bodies that are missing"),
  "bytes-short": damage("small bodies that are cut short"),
  "bytes-damaged": damage("small bodies that do not match their checksum"),
  "manifest-broken": damage("lists of pieces with something missing"),
  "reference-missing": damage("blobs that nothing keeps for those who need them"),
  "blob-damaged": damage("uses of blobs that are missing, cut short or broken"),
  shared: damage("rows that belong to two at once"),
  garbage: leftover("entries that wait for the collector"),
  unfinished: leftover("works that a crash cut short; the next start undoes them"),
  "blob-unreferenced": leftover("blobs that no row names; the next start removes them"),
  "reference-unneeded": leftover("references that nobody needs"),
  "bytes-unneeded": leftover("small bodies that nobody needs"),
  "manifest-unneeded": leftover("lists of pieces that nobody needs"),
  "configuration-unneeded": leftover("configurations that no bucket names"),
  "attachment-unneeded": leftover("ACLs and policies that are counted and do not exist"),
  "history-unneeded": leftover("histories of keys without older versions"),
  "account-row-unneeded": leftover("listed buckets that do not exist"),
  "key-row-unneeded": leftover("listed keys that do not exist"),
} as const satisfies Readonly<Record<string, Kind>>;

export type FindingKind = keyof typeof FINDINGS;
