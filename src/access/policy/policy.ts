/** What a policy says, once it has been read. */

export interface Policy {
  readonly statements: readonly Statement[];
}

/** One rule: it counts for a request that every one of its parts matches. */
export interface Statement {
  /** Its name in traces; empty when it has none. */
  readonly sid: string;
  readonly effect: "allow" | "deny";
  /** Whom it speaks of, as written; undefined in policies that are attached to somebody. */
  readonly principals: readonly string[] | undefined;
  /** Action names, `*` standing for any run of characters. */
  readonly actions: readonly string[];
  /** Resource names of six segments, or `*`. */
  readonly resources: readonly string[];
  readonly conditions: readonly Condition[];
}

/** One operator on one key, held against any of its values. */
export interface Condition {
  /** As written, such as `string_equal_if_exist`. */
  readonly operator: string;
  /** Such as `qcs:ip`. */
  readonly key: string;
  readonly values: readonly string[];
}
