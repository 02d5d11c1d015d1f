/**
 * The servers that ratios are against, in a process of their own: `null` answers two bytes through `node:http`, `hash`
 * reads a body and hashes it as an upload must, `raw` answers canned bytes without reading the request, which shows
 * what the generator itself can do. Arguments: kind, port, workers.
 */

import cluster from "node:cluster";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createRawServer } from "node:net";
import { crc64Continue } from "../src/store/crc64.ts";

const [, , kind = "null", port = "0", workers = "1"] = process.argv;

function answerNothing(_: IncomingMessage, response: ServerResponse): void {
  response.end("ok");
}

function answerHash(request: IncomingMessage, response: ServerResponse): void {
  const md5 = createHash("md5");
  let crc = 0n;
  request.on("data", (chunk: Buffer) => {
    md5.update(chunk);
    crc = crc64Continue(crc, chunk);
  });
  request.on("end", () => {
    response.writeHead(200, { ETag: `"${md5.digest("hex")}"`, "x-cos-hash-crc64ecma": String(crc) });
    response.end();
  });
}

const CANNED = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");

if (cluster.isPrimary && Number(workers) > 1) {
  for (let worker = 0; worker < Number(workers); worker++) cluster.fork();
} else if (kind === "raw") {
  // One request arrives in one piece here: its client sends the next when it has the answer.
  createRawServer({ noDelay: true }, (socket) => {
    socket.on("data", () => socket.write(CANNED));
    socket.on("error", () => socket.destroy());
  }).listen(Number(port), "127.0.0.1");
} else {
  const settings = { noDelay: true, highWaterMark: 64 * 1024 };
  createServer(settings, kind === "hash" ? answerHash : answerNothing).listen(Number(port), "127.0.0.1");
}
