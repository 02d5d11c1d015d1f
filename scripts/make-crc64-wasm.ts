/**
 * Writes src/store/crc64-wasm.ts: the inner loop of CRC-64 as a WebAssembly module, assembled here by hand.
 *
 * The loop takes sixteen bytes a turn and looks each up in its own table ("slicing by 16"). The tables and the bytes
 * lie in the module's memory, where src/store/crc64.ts puts them; the polynomial is therefore not known here.
 * Run it with `npx tsx scripts/make-crc64-wasm.ts`; a test compares the file with what this makes.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const I32 = 0x7f;
const I64 = 0x7e;

/** Unsigned LEB128, as every index, size and offset is written. Negative numbers never occur here. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  do {
    bytes.push((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value >>>= 7;
  } while (value > 0);
  return bytes;
}

/** Signed LEB128 of a number that is not negative, as constants are written. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  for (;;) {
    const low = value & 0x7f;
    value >>>= 7;
    const last = value === 0 && (low & 0x40) === 0;
    bytes.push(last ? low : low | 0x80);
    if (last) return bytes;
  }
}

const name = (text: string) => [...unsigned(text.length), ...Buffer.from(text, "ascii")];
const list = (items: readonly number[][]) => [...unsigned(items.length), ...items.flat()];
const section = (id: number, content: number[]) => [id, ...unsigned(content.length), ...content];

const get = (local: number) => [0x20, ...unsigned(local)];
const set = (local: number) => [0x21, ...unsigned(local)];
const i32 = (value: number) => [0x41, ...signed(value)];
const i64 = (value: number) => [0x42, ...signed(value)];
const load8 = [0x2d, 0, 0];
const load64 = (offset: number, alignment: number) => [0x29, alignment, ...unsigned(offset)];
const I32_LT_U = 0x49;
const I32_GE_U = 0x4f;
const I32_ADD = 0x6a;
const I32_SUB = 0x6b;
const I32_AND = 0x71;
const I32_XOR = 0x73;
const I32_SHL = 0x74;
const I32_SHR_U = 0x76;
const I64_XOR = 0x85;
const I64_SHR_U = 0x88;
const I32_WRAP_I64 = 0xa7;
const END = 0x0b;
const block = (body: number[]) => [0x02, 0x40, ...body, END];
const loop = (body: number[]) => [0x03, 0x40, ...body, END];
const branch = (depth: number) => [0x0c, depth];
const branchIf = (depth: number) => [0x0d, depth];

// update(crc: i64, at: i32, end: i32) -> i64, and two halves of a word as locals.
const CRC = 0;
const AT = 1;
const STOP = 2;
const WORD = 3;
const LOW = 4;
const HIGH = 5;

const TABLE_BYTES = 256 * 8;

/** The entry for byte `index` of the half word in `half`, from table `table`; an entry has eight bytes. */
function entry(half: number, index: number, table: number): number[] {
  const shifted = index === 0 ? [...i32(3), I32_SHL] : [...i32(8 * index - 3), I32_SHR_U];
  return [...get(half), ...shifted, ...i32(0x7f8), I32_AND, ...load64(table * TABLE_BYTES, 3)];
}

/** Folds the eight bytes in WORD through tables `first` down to `first - 7`, leaving the result on the stack. */
function fold(first: number): number[] {
  const code = [...get(WORD), I32_WRAP_I64, ...set(LOW)];
  code.push(...get(WORD), ...i64(32), I64_SHR_U, I32_WRAP_I64, ...set(HIGH));
  for (let index = 0; index < 8; index++) {
    code.push(...entry(index < 4 ? LOW : HIGH, index % 4, first - index));
    if (index > 0) code.push(I64_XOR);
  }
  return code;
}

function module(): Buffer {
  const sixteen = block(
    loop([
      ...get(STOP),
      ...get(AT),
      I32_SUB,
      ...i32(16),
      I32_LT_U,
      ...branchIf(1),
      ...get(AT),
      ...load64(0, 0),
      ...get(CRC),
      I64_XOR,
      ...set(WORD),
      ...fold(15),
      ...get(AT),
      ...load64(8, 0),
      ...set(WORD),
      ...fold(7),
      I64_XOR,
      ...set(CRC),
      ...get(AT),
      ...i32(16),
      I32_ADD,
      ...set(AT),
      ...branch(0),
    ]),
  );
  const one = block(
    loop([
      ...get(AT),
      ...get(STOP),
      I32_GE_U,
      ...branchIf(1),
      ...get(CRC),
      I32_WRAP_I64,
      ...get(AT),
      ...load8,
      I32_XOR,
      ...set(LOW),
      ...entry(LOW, 0, 0),
      ...get(CRC),
      ...i64(8),
      I64_SHR_U,
      I64_XOR,
      ...set(CRC),
      ...get(AT),
      ...i32(1),
      I32_ADD,
      ...set(AT),
      ...branch(0),
    ]),
  );
  const locals = list([
    [1, I64],
    [2, I32],
  ]);
  const body = [...locals, ...sixteen, ...one, ...get(CRC), END];
  return Buffer.from([
    0x00,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, list([[0x60, ...list([[I64], [I32], [I32]]), ...list([[I64]])]])),
    ...section(3, list([[0]])),
    ...section(5, list([[0, 2]])),
    ...section(
      7,
      list([
        [...name("memory"), 2, 0],
        [...name("update"), 0, 0],
      ]),
    ),
    ...section(10, list([[...unsigned(body.length), ...body]])),
  ]);
}

/** The text of src/store/crc64-wasm.ts. */
export function crc64WasmSource(): string {
  const lines =
    module()
      .toString("base64")
      .match(/.{1,110}/g) ?? [];
  return [
    "/** The CRC-64 loop as WebAssembly, in Base64. Made by scripts/make-crc64-wasm.ts: change that, not this. */",
    "export const CRC64_WASM =",
    `${lines.map((line) => `  "${line}"`).join(" +\n")};`,
    "",
  ].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL("../src/store/crc64-wasm.ts", import.meta.url), crc64WasmSource());
}
