/**
 * Looks for names that stand twice in one object of a JSON document. JSON.parse keeps the last of them without a word, and
 * what it drops might have been meant to deny.
 */

/** The first such name, as it is written in a text that JSON.parse takes; undefined where there is none. Linear, without recursion. */
export function repeatedName(json: string): string | undefined {
  /** Names of each object that is open, and undefined for each open list. */
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < json.length; at++) {
    const character = json[at];
    if (character === "{") open.push(new Set());
    else if (character === "[") open.push(undefined);
    else if (character === "}" || character === "]") open.pop();
    else if (character === '"') {
      const end = endOfText(json, at);
      const text = json.slice(at, end);
      at = end - 1;
      const names = open.at(-1);
      if (names === undefined || !isName(json, end)) continue;
      const name = JSON.parse(text) as string;
      if (names.has(name)) return name;
      names.add(name);
    }
  }
  return undefined;
}

/** Where the text that begins with the quote at `start` has ended. */
function endOfText(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === "\\" ? 2 : 1;
  return at + 1;
}

/** Whether a colon follows: then the text before is a name. */
function isName(json: string, end: number): boolean {
  let at = end;
  while (json[at] === " " || json[at] === "\n" || json[at] === "\r" || json[at] === "\t") at += 1;
  return json[at] === ":";
}
