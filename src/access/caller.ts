/** Who makes a request, once the signature has been checked. */

/** An account's key pair. */
export interface Credential {
  readonly secretId: string;
  readonly secretKey: string;
  /** UIN of the root account, decimal digits. */
  readonly uin: string;
  /** APPID of the account, decimal digits; the suffix of its buckets' names. */
  readonly appid: string;
  /** True for the published development pair, which any web page knows. */
  readonly published: boolean;
}

export type Caller =
  | { readonly kind: "anonymous" }
  | {
      readonly kind: "account";
      readonly uin: string;
      readonly appid: string;
      readonly secretId: string;
      readonly published: boolean;
      /** Where the signature came from. */
      readonly via: "header" | "query";
    };

export const ANONYMOUS: Caller = { kind: "anonymous" };

/** The id under which the wire names an account: `qcs::cam::uin/<uin>:uin/<uin>` for a root account. */
export function callerId(uin: string): string {
  return `qcs::cam::uin/${uin}:uin/${uin}`;
}
