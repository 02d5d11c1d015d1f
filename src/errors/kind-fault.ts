/**
 * Raised where whoever runs the server asks for what cannot be: a word for programs and a sentence for people. What clients
 * of the service are refused with is a `CosError`.
 */
export abstract class KindFault<Kind extends string> extends Error {
  readonly kind: Kind;
  constructor(kind: Kind, message: string) {
    super(message);
    this.kind = kind;
  }
}
