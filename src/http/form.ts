/**
 * The body of a form upload (multipart/form-data, RFC 7578): its fields, as far as they come before the file, and the
 * file as a stream. Whatever comes after the file is read to the end and counts for nothing, but for a second file.
 */

import { Busboy, type BusboyFileStream, type BusboyInstance } from "@fastify/busboy";
import type { ErrorId } from "../errors/catalogue.ts";
import { CosError, refuse } from "../errors/cos-error.ts";
import type { Limits } from "../limits.ts";
import type { RequestBody } from "./request.ts";

/** A form whose file has begun. */
export interface Form {
  /** Values by the names of their fields, in lower case. No name is there twice. */
  readonly fields: ReadonlyMap<string, string>;
  /** The file's name as its sender has it, without folders; empty where there is none. */
  readonly fileName: string;
  /**
   * The file's bytes. Reading them to their end reads the form to its end: only then is it known to be whole. Reading
   * throws what reading the body throws, and MalformedPOSTRequest and IncorrectNumberOfFilesInPostRequest.
   */
  readonly file: RequestBody;
}

type FormLimits = Pick<Limits, "formBytesMax" | "formFieldsMax">;

/** What may stand in a boundary. (RFC 2046 §5.1.1) */
const BOUNDARY = /^[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]$/;
/** Bytes of the file that are read ahead of whoever takes it. */
const FILE_AHEAD_BYTES = 64 * 1024;

const malformed = (message?: string, cause?: unknown): CosError =>
  refuse("MalformedPOSTRequest", message === undefined ? { cause } : { message, cause });

/** The boundary of a Content-Type. Throws CosError MalformedPOSTRequest for another type, no boundary or two. */
function boundaryOf(contentType: string | undefined): string {
  const [type = "", ...parameters] = (contentType ?? "").split(";").map((part) => part.trim());
  if (type.toLowerCase() !== "multipart/form-data") throw malformed();
  const [boundary, ...others] = parameters
    .filter((parameter) => /^boundary\s*=/i.test(parameter))
    .map((parameter) => parameter.slice(parameter.indexOf("=") + 1).trim())
    .map((text) => (text.length > 1 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text));
  if (boundary === undefined || others.length > 0 || !BOUNDARY.test(boundary)) {
    throw malformed("The Content-Type of the form has no boundary, or not one that can be used.");
  }
  return boundary;
}

/**
 * Reads a form up to the beginning of its file. Throws CosError MalformedPOSTRequest for a body that is no such form,
 * has no file, a field twice, or more than `limits.formBytesMax` bytes or `limits.formFieldsMax` fields besides the
 * file; and what reading the body throws. A part of another name than `file` is a field, whatever file it is called after.
 * @param onRefused Hears of the fields of a form that is refused, as far as they were read.
 */
export async function readForm(
  contentType: string | undefined,
  body: RequestBody,
  limits: FormLimits,
  onRefused?: (fields: Form["fields"]) => void,
): Promise<Form> {
  const boundary = boundaryOf(contentType);
  if (!body.announced) throw malformed();
  const reader = new FormReader(boundary, body, limits);
  try {
    await reader.begun;
  } catch (error) {
    onRefused?.(reader.fields);
    throw error;
  }
  return { fields: reader.fields, fileName: reader.fileName, file: new FormFile(reader) };
}

/** Feeds the parser from the body, as fast as the file is taken. */
class FormReader {
  readonly fields = new Map<string, string>();
  fileName = "";
  file: BusboyFileStream | undefined;
  failure: CosError | undefined;
  /** Settles when the file begins, or cannot begin any more. */
  readonly begun: Promise<void>;
  /** Settles when the form has been read to its end. */
  readonly done: Promise<void>;
  readonly #parser: BusboyInstance;
  readonly #source: AsyncIterator<Buffer>;
  readonly #limits: FormLimits;
  readonly #finished: Promise<void>;
  #fieldBytes = 0;
  /** Bytes of the body before the file began and after it ended, counted in the pieces in which they come. */
  #besideBytes = 0;
  #begin: () => void = () => {};
  #goOn: () => void = () => {};

  constructor(boundary: string, body: RequestBody, limits: FormLimits) {
    this.#limits = limits;
    this.#source = body.stream()[Symbol.asyncIterator]();
    this.#parser = new Busboy({
      headers: { "content-type": `multipart/form-data; boundary="${boundary}"` },
      fileHwm: FILE_AHEAD_BYTES,
      // The file is what stands in the field `file`, with a name or without. Clients such as Python's `requests` give
      // every field the name of a file, and mean nothing by it.
      isPartAFile: (name) => name?.toLowerCase() === "file",
      limits: { fieldSize: limits.formBytesMax, headerSize: limits.formBytesMax, headerPairs: 32 },
    });
    this.#parser.on("field", (name: string | undefined, value, _nameCut, valueCut) =>
      this.#takeField(name, value, valueCut),
    );
    this.#parser.on("file", (_name, file, fileName: string | undefined) => this.#takeFile(file, fileName));
    this.#finished = new Promise((resolve) => {
      this.#parser.on("finish", resolve);
      this.#parser.on("error", (error) => {
        this.#fail(malformed(undefined, error));
        resolve();
      });
    });
    const begins = new Promise<void>((resolve) => {
      this.#begin = resolve;
    });
    this.done = this.#feed();
    this.begun = Promise.race([begins, this.done.then(() => this.#refuseWithoutFile())]);
    // Whoever reads the file hears of what goes wrong; before that, `begun` tells.
    this.done.catch(() => {});
    this.begun.catch(() => {});
  }

  /** Nobody will read on: what is still to come is left to the edge. */
  abandon(): void {
    void this.#source.return?.();
  }

  async #feed(): Promise<void> {
    try {
      for (let next = await this.#source.next(); !next.done; next = await this.#source.next()) {
        await this.#write(next.value);
        if (this.failure !== undefined) throw this.failure;
      }
      this.#parser.end();
      await this.#finished;
      if (this.failure !== undefined) throw this.failure;
    } catch (error) {
      this.failure ??= error as CosError;
      this.file?.destroy(error as Error);
      this.abandon();
      throw error;
    }
  }

  /** Resolves when the parser wants more, which it does once the file has been taken this far, and when it has failed. */
  #write(chunk: Buffer): Promise<void> {
    return new Promise((resolve) => {
      this.#goOn = resolve;
      const beside = this.#isBeside();
      this.#parser.write(chunk, () => {
        if (beside && this.#isBeside()) this.#besideBytes += chunk.length;
        if (this.#besideBytes > this.#limits.formBytesMax) this.#fail(this.#tooMuch());
        resolve();
      });
    });
  }

  #isBeside(): boolean {
    return this.file === undefined || this.file.readableEnded;
  }

  #takeField(name: string | undefined, value: string, valueCut: boolean): void {
    // The file is the last field that counts: what follows was not known when the form was judged.
    if (this.file !== undefined || this.failure !== undefined) return;
    if (name === undefined) return this.#fail(malformed("A field of the form has no name."));
    const key = name.toLowerCase();
    this.#fieldBytes += Buffer.byteLength(name) + Buffer.byteLength(value);
    if (valueCut || this.#fieldBytes > this.#limits.formBytesMax) return this.#fail(this.#tooMuch());
    if (this.fields.has(key)) {
      return this.#fail(malformed(`The form has the field ${key.slice(0, 64)} more than once.`));
    }
    if (this.fields.size === this.#limits.formFieldsMax) {
      return this.#fail(malformed(`The form has more than ${this.#limits.formFieldsMax} fields.`));
    }
    this.fields.set(key, value);
  }

  #takeFile(file: BusboyFileStream, fileName: string | undefined): void {
    // What goes wrong with the file goes wrong with the form, and is told of that.
    file.on("error", () => {});
    if (this.failure !== undefined) {
      file.resume();
    } else if (this.file !== undefined) {
      file.resume();
      this.#fail(refuse("IncorrectNumberOfFilesInPostRequest"));
    } else {
      this.file = file;
      this.fileName = fileName ?? "";
      this.#begin();
    }
  }

  #fail(error: CosError): void {
    this.failure ??= error;
    this.#goOn();
  }

  #tooMuch(): CosError {
    return malformed(`The form has more than ${this.#limits.formBytesMax} bytes besides its file.`);
  }

  #refuseWithoutFile(): void {
    if (this.file === undefined) throw malformed("The form has no field named file.");
  }
}

/** The file of a form as a body. Its length is known when it has been read. */
class FormFile implements RequestBody {
  readonly declaredLength = undefined;
  readonly chunked = true;
  readonly announced = true;
  readonly #reader: FormReader;

  constructor(reader: FormReader) {
    this.#reader = reader;
  }

  async *stream(): AsyncGenerator<Buffer> {
    const { file, done } = this.#reader;
    let whole = false;
    try {
      for await (const chunk of file as AsyncIterable<Buffer>) yield chunk;
      await done;
      whole = true;
    } catch (error) {
      // The parser breaks the file off with an error of its own.
      throw error instanceof CosError ? error : (this.#reader.failure ?? malformed(undefined, error));
    } finally {
      if (!whole) this.#reader.abandon();
    }
  }

  collect(bytesMax: number, over: ErrorId): Promise<Buffer> {
    return collected(this.stream(), bytesMax, over);
  }
}

/** All of a stream, at most `bytesMax` bytes; one more throws a CosError with the id `over`. */
async function collected(stream: AsyncIterable<Buffer>, bytesMax: number, over: ErrorId): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.length;
    if (length > bytesMax) throw refuse(over);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/**
 * The file, watched while it is read. `watch` is called with the bytes that have come so far and, once more, when they
 * are all there; what it throws ends the reading.
 */
export function watchedFile(file: RequestBody, watch: (bytes: number, complete: boolean) => void): RequestBody {
  async function* stream(): AsyncGenerator<Buffer> {
    let bytes = 0;
    for await (const chunk of file.stream()) {
      bytes += chunk.length;
      watch(bytes, false);
      yield chunk;
    }
    watch(bytes, true);
  }
  const { announced, chunked, declaredLength } = file;
  return {
    announced,
    chunked,
    declaredLength,
    stream,
    collect: (bytesMax, over) => collected(stream(), bytesMax, over),
  };
}
