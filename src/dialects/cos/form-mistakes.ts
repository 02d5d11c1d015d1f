/**
 * Looks for the mistake behind the signature of a form that does not match, as signature-mistakes.ts does for requests.
 * The policy itself is not told: one of its conditions may hold a token.
 */

import { createHmac, hash } from "node:crypto";
import { otherKeys, sameAs, UPPER_CASE } from "../../access/signature-mistakes.ts";
import type { SignatureEvidence, SignatureMistake } from "../../errors/evidence.ts";
import { joinedToSign, signatureOf, signKeyOf } from "./canonical.ts";

/** What was sent, in the parts of which the signature is made. */
export interface MismatchedForm {
  /** The policy as the field has it, and decoded. */
  readonly encoded: string;
  readonly policy: string;
  readonly keyTime: string;
  readonly accessKeyId: string;
  readonly signature: string;
}

const hmac = (key: string | Buffer, text: string): string => createHmac("sha1", key).update(text).digest("hex");

function* attempts(
  { encoded, policy, keyTime, accessKeyId }: MismatchedForm,
  secretKey: string,
): Generator<readonly [signature: string, mistake: SignatureMistake]> {
  const signKey = signKeyOf(secretKey, keyTime);
  const toSign = hash("sha1", policy);
  const encodedTold = {
    name: "policy-encoded",
    told: "The client signed the policy in Base64.",
    mend: "Sign the SHA-1 of the policy's JSON text, and encode the policy for its field afterwards.",
  };
  yield [signatureOf(signKey, hash("sha1", encoded)), encodedTold];
  yield [hmac(signKey, encoded), encodedTold];
  yield [
    hmac(signKey, policy),
    {
      name: "not-hashed",
      told: "The client signed the policy itself where its SHA-1 belongs.",
      mend: "Sign the SHA-1 of the policy's JSON text, in hex.",
    },
  ];
  for (const text of [`${policy}\n`, policy.trim()]) {
    yield [
      signatureOf(signKey, hash("sha1", text)),
      {
        name: "policy-changed",
        told: "The client signed the policy with other blanks or line breaks at its ends.",
        mend: "Sign the very text that is encoded for the field policy.",
      },
    ];
  }
  yield [
    signatureOf(signKey, joinedToSign(keyTime, policy)),
    {
      name: "signed-as-request",
      told: "The client signed the policy as requests are signed.",
      mend: "Sign the SHA-1 of the policy alone, with neither sha1 nor a time before it.",
    },
  ];
  yield [
    hmac(secretKey, toSign),
    {
      name: "key-not-made",
      told: "The client signed with the SecretKey itself.",
      mend: "Make the key first: HMAC-SHA1 of q-key-time under the SecretKey, in hex.",
    },
  ];
  yield [
    hmac(Buffer.from(signKey, "hex"), toSign),
    {
      name: "key-as-bytes",
      told: "The client used the bytes of its signing key.",
      mend: "Use the 40 hex digits of the key as text.",
    },
  ];
  for (const [key, mistake] of otherKeys(secretKey, accessKeyId)) {
    yield [signatureOf(signKeyOf(key, keyTime), toSign), mistake];
  }
  yield [signatureOf(signKey, toSign).toUpperCase(), UPPER_CASE];
}

/** The evidence for the signature of a form that was refused. */
export function formEvidence(sent: MismatchedForm, secretKey: string): SignatureEvidence {
  const isGiven = sameAs(sent.signature);
  const canonical = hash("sha1", sent.policy);
  let tried = 0;
  for (const [signature, mistake] of attempts(sent, secretKey)) {
    tried += 1;
    if (isGiven(signature)) return { kind: "signature", canonical, mistake, tried };
  }
  return { kind: "signature", canonical, mistake: undefined, tried };
}
