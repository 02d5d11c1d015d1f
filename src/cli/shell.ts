/** What commands share: what they may touch of the process, and the code that one ends with. */

/** What a command may touch of the process. */
export interface Shell {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean };
  cwd(): string;
  on(signal: "SIGINT" | "SIGTERM" | "SIGUSR2", listener: () => void): unknown;
  exit(code: number): never;
}

/** The exit code where something has to be mended. */
export const EXIT_FAILED = 1;
