/**
 * A bucket's policy, for the bucket `to` in place of `from`: it names buckets, and accounts by their APPIDs, which stand at
 * the end of the names.
 */
export function policyElsewhere(policy: string, from: string, to: string): string {
  const [appid, own] = [from, to].map((name) => /\d+$/.exec(name)?.[0] ?? "");
  return policy.replaceAll(from, to).replaceAll(`uid/${appid}`, `uid/${own}`);
}
