/** What a client is told when Node's parser gives up on it, before there is a request. */

import { type CosError, refuse } from "../errors/cos-error.ts";

/** Methods that some operation answers to. */
const ALLOW = "DELETE, GET, HEAD, OPTIONS, POST, PUT";

/** The refusal of CONNECT and of methods that Node's parser does not know. */
export function foreignMethod(message?: string): CosError {
  return refuse("MethodNotAllowed", { headers: { Allow: ALLOW }, ...(message === undefined ? {} : { message }) });
}

/** The refusal for an error of `clientError`, or undefined when the connection is lost and there is nobody to tell. */
export function parserRefusal(error: Error, headerBytesMax: number): CosError | undefined {
  const { code = "", reason } = error as Error & { readonly code?: string; readonly reason?: string };
  switch (code) {
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return refuse("RequestTimeout");
    case "HPE_INVALID_METHOD":
      return startsWithToken(error) ? foreignMethod() : malformed("it does not begin with a request line");
    case "HPE_INVALID_URL":
      return refuse("InvalidURI", {
        message: "The request target is no path or URL, or holds a control character or a byte beyond ASCII.",
      });
    case "HPE_HEADER_OVERFLOW":
      return refuse("BadRquest", { message: `The request line and headers are longer than ${headerBytesMax} bytes.` });
    case "HPE_INVALID_EOF_STATE":
      return malformed("the connection ended within it");
    default:
      return code.startsWith("HPE_") ? malformed(reason) : undefined;
  }
}

/** The method of the message that could not be read, as far as its first bytes tell; a HEAD gets no body. */
export function methodOf(error: Error): string {
  return /^([A-Z]{1,20}) /.exec(firstBytes(error))?.[1] ?? "";
}

function malformed(why: string | undefined): CosError {
  return refuse("BadRquest", { message: `The request is not well-formed HTTP${why === undefined ? "" : `: ${why}`}.` });
}

function startsWithToken(error: Error): boolean {
  return /^[\w!#$%&'*+.^`|~-]+ /.test(firstBytes(error));
}

function firstBytes(error: Error): string {
  const { rawPacket } = error as Error & { readonly rawPacket?: Buffer };
  return rawPacket === undefined ? "" : rawPacket.toString("latin1", 0, 64);
}
