/** The referer configuration as a document: what it may hold, and how it is told. Pure. */

import type { RefererConfiguration } from "../../access/referer.ts";
import { refuse } from "../../errors/cos-error.ts";
import type { Limits } from "../../limits.ts";
import { xmlBody } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { children, faultAt, oneOf, requiredChild, textOf } from "../../xml/decode.ts";
import type { XmlElement } from "../../xml/parse.ts";
import { el, leaf, nodes, optional, type XmlNode } from "../../xml/write.ts";

const PRINTABLE = /^[\x21-\x7e]{1,255}$/;

function domainOf(element: XmlElement): string {
  const domain = textOf(element).trim();
  // Without a host, or with stars alone beside others, a rule would cover nothing or everything by mistake.
  if (!PRINTABLE.test(domain) || /^(https?:\/\/)?[/?#]/i.test(domain)) {
    throw refuse("InvalidArgument", {
      message: `The referer rule is no host with an optional port and path: ${domain.slice(0, 256)}`,
    });
  }
  return domain;
}

function choice<const Word extends string>(root: XmlElement, name: string, words: readonly Word[]): Word {
  const word = oneOf(root, name, words);
  if (word === undefined) throw faultAt(root, `expected <${name}> in <${root.name}>`);
  return word;
}

const toldBy = (word: string | undefined, yes: string): boolean | undefined =>
  word === undefined ? undefined : word === yes;

function decode(root: XmlElement, { refererDomainsMax }: Limits): RefererConfiguration {
  const domains = children(requiredChild(root, "DomainList"), "Domain");
  if (domains.length === 0) throw faultAt(root, "expected <Domain> in <DomainList>");
  if (domains.length > refererDomainsMax) {
    throw refuse("InvalidArgument", { message: `A bucket has at most ${refererDomainsMax} referer rules.` });
  }
  return {
    enabled: choice(root, "Status", ["Enabled", "Disabled"]) === "Enabled",
    type: choice(root, "RefererType", ["Black-List", "White-List"]),
    domains: domains.map(domainOf),
    allowsEmpty: toldBy(oneOf(root, "EmptyReferConfiguration", ["Allow", "Deny"]), "Allow"),
    checksSignedUrls: toldBy(oneOf(root, "VerifySignatureURL", ["Enabled", "Disabled"]), "Enabled"),
  };
}

/** The document of a request; undefined for none, which takes the rules away. Raises InvalidArgument besides. */
export const refererBody = xmlBody({
  root: "RefererConfiguration",
  bytesMax: (limits) => limits.xmlBytesMax,
  decode,
});

/** The document of an answer; empty where there are no rules. */
export const refererOutput = out.xml(
  "RefererConfiguration",
  (configuration: RefererConfiguration | undefined): XmlNode => {
    if (configuration === undefined) return el("RefererConfiguration");
    const { enabled, type, domains, allowsEmpty, checksSignedUrls } = configuration;
    const told = (flag: boolean | undefined, yes: string, no: string) =>
      flag === undefined ? undefined : flag ? yes : no;
    return el(
      "RefererConfiguration",
      leaf("Status", enabled ? "Enabled" : "Disabled"),
      leaf("RefererType", type),
      el("DomainList", nodes(domains.map((domain) => leaf("Domain", domain)))),
      optional("EmptyReferConfiguration", told(allowsEmpty, "Allow", "Deny")),
      optional("VerifySignatureURL", told(checksSignedUrls, "Enabled", "Disabled")),
    );
  },
);
