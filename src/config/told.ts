/** How places and values are told in messages. */

/** `buckets[0].name` */
export function dotted(where: readonly PropertyKey[]): string {
  return where.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${step}]`;
    return text === "" ? String(step) : `${text}.${String(step)}`;
  }, "");
}

const SECRET_NAMES: ReadonlySet<PropertyKey | undefined> = new Set(["kmsSecretKey", "sealPassphrase", "secretKey"]);

/** A value that was found where another was expected, shortened; secrets are not shown. */
export function show(value: unknown, where: readonly PropertyKey[]): string {
  if (value === undefined) return "nothing";
  // A secret that is a little wrong is still a secret, and messages end up in logs.
  if (SECRET_NAMES.has(where.at(-1))) return `a ${typeof value} that is not shown`;
  const text = JSON.stringify(value) ?? `a ${typeof value}`;
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** What stands at `where`; undefined where nothing does. */
export function valueAt(values: unknown, where: readonly PropertyKey[]): unknown {
  return where.reduce<unknown>((value, step) => {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    return (value as Record<PropertyKey, unknown>)[step];
  }, values);
}

/** Whatever may stand in an entry of `accounts`, at any depth. */
export const ACCOUNT_NAMES = [
  ...["uin", "appid", "name", "keys", "users", "groups", "roles", "policies", "document", "trust"],
  ...["sessionSecondsMax", "secretId", "secretKey", "enabled"],
];
