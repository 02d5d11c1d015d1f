/**
 * ACLs and policies by the account whose resources have them: one row each, written and removed with what it stands for,
 * so that an account can be held to a number of them.
 */
import { type Attached, attachmentKey, attachmentsPrefix, prefixRange } from "./keys.ts";
import type { BucketRecord } from "./records.ts";
import type { Transaction } from "./transact.ts";

/**
 * Notes one in a transaction. False where the account has as many as it may have; then nothing is noted. One that is
 * there already takes no further place. Two that are noted at the same moment may both be the last.
 */
export async function attach(
  tx: Transaction,
  { id, ownerUin }: BucketRecord,
  attached: Attached,
  most: number,
): Promise<boolean> {
  const key = attachmentKey(ownerUin, id, attached);
  if ((await tx.get(key)) !== undefined) return true;
  // It may be stored and have been taken away in this transaction, whose own changes the look does not show.
  const rows = await tx.peek(prefixRange(attachmentsPrefix(ownerUin), most + 1));
  if (rows.filter((row) => !row.key.equals(key)).length >= most) return false;
  tx.set(key, Buffer.alloc(0));
  return true;
}

/** Takes one back in a transaction; nothing happens where there is none. */
export function detach(tx: Transaction, { id, ownerUin }: BucketRecord, attached: Attached): void {
  tx.delete(attachmentKey(ownerUin, id, attached));
}
