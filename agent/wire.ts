/**
 * The messages on container-init's descriptor 3, both ways; native/container-init/README.md writes them down.
 */
import { CaissonError } from "../protocol/errors.ts";
import { FORMS, type Kind, type Step, type Value } from "./steps.ts";

/** The longest plan that container-init takes, in bytes. */
export const MAX_PLAN_BYTES = 4 * 1024 * 1024;
/** The longest state that hooks get, in bytes. */
export const MAX_STATE_BYTES = 64 * 1024;
/** The longest report: head and the detail of a failure. */
export const MAX_REPORT_BYTES = 512;

const HEAD_BYTES = 5;
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
  const message = new MessageWriter(MESSAGE_PLAN, 8192);
  message.word(steps.length);
  for (const step of steps) {
    const form: { code: number; arguments: Record<string, Kind> } = FORMS[step.op];
    const start = message.beginStep(form.code, step.supervised === true ? SUPERVISED : 0);
    // The forms made the type: every name that a form lists is there, of its kind.
    const values = step as unknown as Record<string, Value<Kind>>;
    for (const name in form.arguments) message.value(form.arguments[name] as Kind, values[name] as Value<Kind>, step);
    message.endStep(start);
  }
  const bytes = message.end();
  if (bytes.length > MAX_PLAN_BYTES) {
    throw new CaissonError(
      "CAISSON_E_CONFIG_INVALID",
      `The container's configuration makes a plan of ${bytes.length} bytes; at most ${MAX_PLAN_BYTES} are possible.`,
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
      `The container's state has ${text.length} bytes; hooks get at most ${MAX_STATE_BYTES}.`,
    );
  }
  const message = new MessageWriter(MESSAGE_CONTINUE, HEAD_BYTES + text.length);
  message.raw(text);
  return message.end();
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
  return new CaissonError("CAISSON_E_INTERNAL", `container-init sent something that is no report: ${what}.`);
}

/** One message in one growing buffer: in a fresh guest, many small buffers cost more than the plan itself. */
class MessageWriter {
  #bytes: Buffer;
  #length = HEAD_BYTES;

  constructor(type: number, capacity: number) {
    this.#bytes = Buffer.allocUnsafe(capacity);
    this.#bytes.writeUInt8(type, 4);
  }

  #reserve(count: number): number {
    const at = this.#length;
    if (at + count > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(2 * (at + count));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    this.#length = at + count;
    return at;
  }

  word(value: number): void {
    const at = this.#reserve(4);
    this.#bytes.writeUInt32LE(value >>> 0, at);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** With a NUL behind it that its length does not count: C uses it where it lies. */
  #string(text: string, step: Step): void {
    if (text.includes("\0")) {
      throw new CaissonError("CAISSON_E_CONFIG_INVALID", `${step.field}: must not contain a NUL byte.`, {
        field: step.field,
      });
    }
    const length = Buffer.byteLength(text);
    this.word(length);
    const at = this.#reserve(length + 1);
    this.#bytes.write(text, at);
    this.#bytes.writeUInt8(0, at + length);
  }

  value(kind: Kind, value: Value<Kind>, step: Step): void {
    switch (kind) {
      case "u32":
      case "i32":
        this.word(value as number);
        return;
      case "u64": {
        const at = this.#reserve(8);
        this.#bytes.writeBigUInt64LE(BigInt.asUintN(64, value as bigint), at);
        return;
      }
      case "string":
        this.#string(value as string, step);
        return;
      case "strings":
        this.word((value as readonly string[]).length);
        for (const item of value as readonly string[]) this.#string(item, step);
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

  /** The step's own length is filled in by `endStep`. */
  beginStep(code: number, flags: number): number {
    const at = this.#reserve(8);
    this.#bytes.writeUInt16LE(code, at + 4);
    this.#bytes.writeUInt16LE(flags, at + 6);
    return at;
  }

  endStep(at: number): void {
    this.#bytes.writeUInt32LE(this.#length - at - 8, at);
  }

  end(): Buffer {
    this.#bytes.writeUInt32LE(this.#length - 4, 0);
    return this.#bytes.subarray(0, this.#length);
  }
}
