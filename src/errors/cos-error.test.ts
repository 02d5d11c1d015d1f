import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { CosError, type Refuse, refuse, wireForm } from "./cos-error.ts";

describe("refuse", () => {
  it("makes an error with the status, code and message of its row", () => {
    const error = refuse("NoSuchBucket");
    assert.ok(error instanceof CosError);
    assert.ok(error instanceof Error);
    assert.equal(error.id, "NoSuchBucket");
    assert.equal(error.status, 404);
    assert.equal(error.code, "NoSuchBucket");
    assert.equal(error.message, "The specified bucket does not exist.");
    assert.deepEqual(error.extras, []);
    assert.deepEqual(error.headers, {});
  });

  it("tells the two rows of one code apart by status", () => {
    const rows = [refuse("InvalidObjectState403"), refuse("InvalidObjectState409")];
    assert.deepEqual(
      rows.map(({ status, code }) => [status, code]),
      [
        [403, "InvalidObjectState"],
        [409, "InvalidObjectState"],
      ],
    );
  });

  it("takes a message, further elements, headers and a cause from the refusal", () => {
    const cause = new Error("disk");
    const error = refuse("MethodNotAllowed", {
      message: "Not here.",
      extras: [["ServerTime", "2026-01-02T03:04:05Z"]],
      headers: { Allow: "GET, HEAD" },
      cause,
    });
    assert.equal(error.message, "Not here.");
    assert.deepEqual(error.extras, [["ServerTime", "2026-01-02T03:04:05Z"]]);
    assert.deepEqual(error.headers, { Allow: "GET, HEAD" });
    assert.equal(error.cause, cause);
  });

  it("has no cause unless one is given", () => {
    assert.equal(Object.hasOwn(refuse("NoSuchKey"), "cause"), false);
  });

  it("narrows to the ids that an operation declares", () => {
    const own: Refuse<"NoSuchBucket" | "NoSuchKey"> = refuse;
    assert.equal(own("NoSuchKey").status, 404);
    // @ts-expect-error an id that the operation did not declare does not compile
    assert.equal(own("BucketNotEmpty").status, 409);
  });
});

describe("wireForm", () => {
  it("answers as the page says in the documented mode", () => {
    assert.deepEqual(wireForm(refuse("RequestHasExpired"), "documented"), {
      status: 403,
      code: "Request has expired",
      message: "Request has expired",
    });
  });

  it("answers as the live service does in the observed mode", () => {
    assert.deepEqual(wireForm(refuse("RequestHasExpired"), "observed"), {
      status: 403,
      code: "AccessDenied",
      message: "Request has expired",
    });
    assert.deepEqual(wireForm(refuse("ReplicationConfigurationNotFoundError"), "observed"), {
      status: 404,
      code: "ReplicationConfigurationnotFoundError",
      message: "The replication configuration was not found.",
    });
  });

  it("is the same in both modes for a row without a known difference", () => {
    const error = refuse("NoSuchKey");
    assert.deepEqual(wireForm(error, "observed"), wireForm(error, "documented"));
  });

  it("keeps the message that the refusal brought along", () => {
    const error = refuse("RequestHasExpired", { message: "It ended at noon." });
    assert.equal(wireForm(error, "observed").message, "It ended at noon.");
    assert.equal(wireForm(error, "observed").code, "AccessDenied");
  });
});
