/** One sync for all who ask for it at the same time. */

/**
 * `sync`, shared by the callers that name the same path. A caller never joins a sync that is already running, since
 * that one may have begun before the caller's change was made; it joins the next.
 */
export function groupedSync(sync: (path: string) => Promise<void>): (path: string) => Promise<void> {
  const groups = new Map<string, { readonly running: Promise<void>; next: Promise<void> | undefined }>();

  function begin(path: string): Promise<void> {
    const group = { running: sync(path), next: undefined };
    groups.set(path, group);
    const over = (): void => {
      if (groups.get(path) === group && !group.next) groups.delete(path);
    };
    group.running.then(over, over);
    return group.running;
  }

  return (path) => {
    const group = groups.get(path);
    if (!group) return begin(path);
    group.next ??= group.running.then(
      () => begin(path),
      () => begin(path),
    );
    return group.next;
  };
}
