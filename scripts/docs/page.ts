/** One generated page of the documentation. */
export interface Page {
  /** Where it is written, from the root of the repository. */
  readonly path: string;
  /** The whole text. The same tree gives the same text, so that a test can tell whether the page is fresh. */
  render(): string | Promise<string>;
}
