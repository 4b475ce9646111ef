/**
 * The messages on container-init's descriptor 3, both ways; native/container-init/README.md writes them down.
 */
import { CaissonError } from "../../protocol/errors.ts";
import { FORMS, type Kind, type Operation, type Step, type Value } from "./steps.ts";

/** The longest plan that container-init takes, in bytes. */
export const MAX_PLAN_BYTES = 4 * 1024 * 1024;
/** The longest state that hooks get, in bytes. */
export const MAX_STATE_BYTES = 64 * 1024;
/** The longest report: head and the detail of a failure. */
export const MAX_REPORT_BYTES = 512;

const HEAD_BYTES = 5;
/** Enough for most plans. */
const INITIAL_BYTES = 8192;
const MESSAGE_PLAN = 1;
const MESSAGE_CONTINUE = 2;
const REPORT_REACHED = 1;
const REPORT_STARTED = 2;
const REPORT_FAILED = 3;
const REPORT_EXITED = 4;
const SUPERVISED = 1;

/** What container-init says. Pids are those of the guest's root pid namespace. */
export type Report =
  /** The container's process waits at the barrier `plan.steps[index]` for `encodeContinue`. */
  | { type: "reached"; index: number; pid: number }
  /** execve succeeded. */
  | { type: "started"; pid: number }
  /** `plan.steps[index]` failed with `errno` (0: `detail` says all there is); nothing of the process is left. */
  | { type: "failed"; index: number; errno: number; detail: string }
  /** The process ended; it stays a zombie, and its pid taken, until descriptor 3 is closed. */
  | { type: "exited"; exitCode: number; signal: number };

/**
 * The plan as one message.
 * Throws CAISSON_E_CONFIG_INVALID for a string with a NUL byte and for a plan longer than 4 MiB.
 */
export function encodePlan(steps: readonly Step[]): Buffer {
  writer.begin(MESSAGE_PLAN);
  writer.word(steps.length);
  for (const step of steps) {
    const { code, names, kinds } = LAYOUTS[step.op];
    // The forms made the type: every name that a form lists is there, of its kind.
    const values = step as unknown as Record<string, Value<Kind>>;
    const start = writer.beginStep(code, step.supervised === true ? SUPERVISED : 0);
    for (let i = 0; i < names.length; i++) {
      const value = values[names[i] as string] as Value<Kind>;
      const kind = kinds[i] as Kind;
      // The most frequent ones first, without a call between.
      if (kind === "u32") writer.word(value as number);
      else if (kind === "string") writer.string(value as string, step);
      else writer.value(kind, value, step);
    }
    writer.endStep(start);
  }
  const bytes = writer.end();
  if (bytes.length > MAX_PLAN_BYTES) {
    throw new CaissonError(
      "CAISSON_E_CONFIG_INVALID",
      `the container's configuration makes a plan of ${bytes.length} bytes; at most ${MAX_PLAN_BYTES} are possible`,
    );
  }
  return bytes;
}

/** The message that lets a process go on from a barrier; hooks behind it read `state`, the OCI state JSON, on stdin. */
export function encodeContinue(state = ""): Buffer {
  const text = Buffer.from(state);
  if (text.length > MAX_STATE_BYTES) {
    throw new CaissonError(
      "CAISSON_E_INTERNAL",
      `the container's state has ${text.length} bytes; hooks get at most ${MAX_STATE_BYTES}`,
    );
  }
  writer.begin(MESSAGE_CONTINUE);
  writer.raw(text);
  return writer.end();
}

/**
 * The first report in `bytes` and its length, or undefined while it is incomplete.
 * Throws CAISSON_E_INTERNAL for bytes that are no report.
 */
export function decodeReport(bytes: Buffer): { report: Report; length: number } | undefined {
  if (bytes.length < HEAD_BYTES) return undefined;
  const length = 4 + bytes.readUInt32LE(0);
  const type = bytes.readUInt8(4);
  if (length > MAX_REPORT_BYTES) throw badReport(`${length} bytes`);
  if (bytes.length < length) return undefined;
  const body = bytes.subarray(HEAD_BYTES, length);
  const fixed = { [REPORT_REACHED]: 8, [REPORT_STARTED]: 4, [REPORT_FAILED]: 8, [REPORT_EXITED]: 4 }[type];
  if (fixed === undefined || body.length < fixed) throw badReport(`type ${type} with ${body.length} bytes`);
  switch (type) {
    case REPORT_REACHED:
      return { report: { type: "reached", index: body.readUInt32LE(0), pid: body.readUInt32LE(4) }, length };
    case REPORT_STARTED:
      return { report: { type: "started", pid: body.readUInt32LE(0) }, length };
    case REPORT_FAILED: {
      const detail = body.toString("utf8", 8);
      return { report: { type: "failed", index: body.readUInt32LE(0), errno: body.readInt32LE(4), detail }, length };
    }
    default: {
      const status = body.readUInt32LE(0);
      const signal = status & 0x7f;
      return {
        report: { type: "exited", exitCode: signal === 0 ? (status >> 8) & 0xff : 128 + signal, signal },
        length,
      };
    }
  }
}

function badReport(what: string): CaissonError {
  return new CaissonError("CAISSON_E_INTERNAL", `container-init sent something that is no report: ${what}`);
}

interface Layout {
  code: number;
  names: string[];
  kinds: Kind[];
}

const LAYOUTS = Object.fromEntries(
  Object.entries(FORMS).map(([op, form]): [string, Layout] => [
    op,
    { code: form.code, names: Object.keys(form.arguments), kinds: Object.values(form.arguments) },
  ]),
) as Record<Operation, Layout>;

/**
 * Puts messages together in one buffer that stays: in a fresh clone of a guest, each page that is touched for the first
 * time costs more than what is written into it. DataView and not Buffer's methods, as those are scripts themselves.
 */
class MessageWriter {
  #bytes = Buffer.alloc(INITIAL_BYTES);
  #view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset);
  #length = 0;

  begin(type: number): void {
    this.#length = HEAD_BYTES;
    this.#bytes[4] = type;
  }

  /** A copy. */
  end(): Buffer {
    this.#view.setUint32(0, this.#length - 4, true);
    return Buffer.from(this.#bytes.subarray(0, this.#length));
  }

  /** The place for so many bytes. */
  #reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.alloc(2 * this.#length);
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer, larger.byteOffset);
    }
    return at;
  }

  /** The step's own length is filled in by `endStep`. */
  beginStep(code: number, flags: number): number {
    const at = this.#reserve(8);
    this.#view.setUint16(at + 4, code, true);
    this.#view.setUint16(at + 6, flags, true);
    return at;
  }

  endStep(at: number): void {
    this.#view.setUint32(at, this.#length - at - 8, true);
  }

  word(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** With a NUL behind it that its length does not count: C uses it where it lies. */
  string(text: string, step: Step): void {
    if (text.includes("\0")) {
      throw new CaissonError("CAISSON_E_CONFIG_INVALID", `${step.field}: must not contain a NUL byte`, {
        field: step.field,
      });
    }
    // UTF-8 takes at most three bytes for a unit of UTF-16.
    const at = this.#reserve(4 + 3 * text.length + 1);
    const length = this.#bytes.write(text, at + 4);
    this.#view.setUint32(at, length, true);
    this.#bytes[at + 4 + length] = 0;
    this.#length = at + 4 + length + 1;
  }

  value(kind: Kind, value: Value<Kind>, step: Step): void {
    switch (kind) {
      case "u32":
      case "i32":
        this.word(value as number);
        return;
      case "u64": {
        const at = this.#reserve(8);
        this.#view.setBigUint64(at, value as bigint, true);
        return;
      }
      case "string":
        this.string(value as string, step);
        return;
      case "strings":
        this.word((value as readonly string[]).length);
        for (const item of value as readonly string[]) this.string(item, step);
        return;
      case "u32s":
        this.word((value as readonly number[]).length);
        for (const item of value as readonly number[]) this.word(item);
        return;
      case "bytes":
        this.word((value as Uint8Array).length);
        this.raw(value as Uint8Array);
    }
  }
}

const writer = new MessageWriter();
