/** Why a worker could not start, on its way to the first process, which tells a person. */

/** An error, as far as it survives JSON. */
export interface StartFault {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly syscall?: string;
  readonly stack?: string;
}

/** What an error is told as. */
export function startFault(error: unknown): StartFault {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { code, syscall } = error as NodeJS.ErrnoException;
  return {
    name: error.name,
    message: error.message,
    ...(typeof code === "string" ? { code } : {}),
    ...(typeof syscall === "string" ? { syscall } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
  };
}

/** An error of a class that is unknown here keeps its name, and is no plain `Error`. */
class RevivedFault extends Error {
  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

/** The error again. One that was told by name, by code or as a plain `Error` can be told from others as before. */
export function revivedFault({ name, message, code, syscall, stack }: StartFault): Error {
  const error = name === "Error" ? new Error(message) : new RevivedFault(name, message);
  if (stack !== undefined) error.stack = stack;
  return Object.assign(error, code === undefined ? {} : { code }, syscall === undefined ? {} : { syscall });
}
