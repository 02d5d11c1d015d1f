/** What to do about a refusal of which nothing more is known than its code. */

import type { ErrorId } from "../errors/catalogue.ts";

export const ADVICE: Readonly<Partial<Record<ErrorId, string>>> = {
  AppendPositionErr: "Append at the position that x-cos-next-append-position of the answer tells.",
  BadDigest: "Compare the body that was sent with the one that Content-MD5 was made of; a proxy may have changed it.",
  BucketAlreadyExists: "Choose another name, or ask for the bucket's region and owner.",
  BucketNotEmpty: "Delete all objects, versions, delete markers and unfinished uploads of the bucket first.",
  IncorrectNumberOfFilesInPostRequest: "Send one file for each form, in the field file.",
  InvalidAccessKeyId: "Use a SecretId that this server knows; `cosbox config` prints the root account's.",
  InvalidArgument: "Change the value that the message names.",
  InvalidPart: "Name each part with the ETag that its upload was answered with; ListParts tells what is there.",
  InvalidPartOrder: "Name the parts in ascending order of their numbers, each once.",
  InvalidPolicyDocument: "Make the field policy of JSON with expiration and conditions, in Base64.",
  InvalidRange: "Ask for bytes that the object has; HEAD tells how many those are.",
  InvalidRegionName: "Use a region that is known here, or add yours with --regions.",
  InvalidRequest: "Change what the message names.",
  InvalidTag: "Change the tag that the message names.",
  MalformedPOSTRequest: "Send multipart/form-data with every field once and the file, in the field file, last.",
  MalformedXML:
    "Send the document with the elements that its operation knows; the place that is told is where it parts from them.",
  MethodNotAllowed: "Send another method, or address what has this one: the service, a bucket or an object.",
  MissingContentLength: "Send a body with Content-Length, also where it is empty.",
  NoSuchBucket: "Create the bucket first, or check its name, which ends in the APPID, and the region of the host.",
  NoSuchKey: "Check the key letter by letter; it has no leading slash unless it was stored with one.",
  NoSuchUpload: "Begin a new multipart upload: this one was completed or aborted, or is of another key.",
  NoSuchVersion: "List the versions (?versions), and name one that is there.",
  NotImplemented: "Do without what the message names: it is not built, and never accepted and ignored.",
  PreconditionFailed: "Read the object anew, and decide by what it is now.",
  UserCnameInvalid:
    "Use a host of the service through the Proxy setting of the SDK, or start the server with --suffix.",
};

/** Where the code says nothing either. */
export const OTHERWISE = "Change the request, or what it is about, so that this does not hold any more.";
