/**
 * A bucket's policy, for the bucket `to` in place of `from`: it names buckets, and accounts by their APPIDs, which stand at
 * the end of the names. Other buckets and accounts stay as they are, also where their names contain these.
 */
export function policyElsewhere(policy: string, from: string, to: string): string {
  const [appid, own] = [from, to].map((name) => /\d+$/.exec(name)?.[0] ?? "");
  return withName(withName(policy, from, to), `uid/${appid}`, `uid/${own}`);
}

function withName(text: string, from: string, to: string): string {
  const [first = "", ...others] = text.split(from);
  return others.reduce((before, after) => {
    const isWhole = !/[a-z\d-]$/i.test(before) && !/^[a-z\d-]/i.test(after);
    return before + (isWhole ? to : from) + after;
  }, first);
}
