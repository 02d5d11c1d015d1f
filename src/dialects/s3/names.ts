/**
 * Bare bucket names: with the setting for it, a name without an APPID stands for the one that ends in its caller's, so
 * that tools with names of their own need not be changed. Names that end in the caller's APPID are whole already.
 */

/** The whole name of a bucket that a client addressed. */
export function wholeName(name: string, appid: string): string {
  return name.endsWith(`-${appid}`) ? name : `${name}-${appid}`;
}

/** What a caller calls a bucket: the name without the APPID, unless what is left would be taken for a whole name. */
export function bareName(name: string, appid: string): string {
  const end = `-${appid}`;
  if (!name.endsWith(end)) return name;
  const bare = name.slice(0, -end.length);
  return bare.endsWith(end) ? name : bare;
}
