/**
 * One question to a daemon, for verbs that do nothing meanwhile: this process waits in the kernel. node:net and all that goes
 * with it take 4 ms to load.
 */
import { closeSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { connectUnix } from "../../native/posix/index.ts";
import { CaissonError, fromWireError } from "../../protocol/errors.ts";
import { parseJson, stringifyJson } from "../../protocol/json.ts";
import { now } from "../process/clock.ts";
import { tracePhase } from "../process/trace.ts";
import { socketAddress } from "../state/socket-address.ts";
import { daemonLeft, noDaemon } from "./gone.ts";
import { MAX_LINE, type Response, type Verb, type Verbs } from "./protocol.ts";

const CHUNK = 4096;
const NEWLINE = 0x0a;

/**
 * Asks the daemon of the sandbox whose state directory this is.
 * @throws CaissonError as the daemon reported it; CAISSON_E_VM_DIED when none listens there, or it went away first.
 */
export function ask<V extends Verb>(stateDirectory: string, verb: V, params: Verbs[V]["params"]): Verbs[V]["result"] {
  const asked = now();
  const fd = connectTo(stateDirectory);
  try {
    const response = exchange(fd, Buffer.from(`${stringifyJson({ id: 1, verb, params })}\n`));
    if ("error" in response) throw fromWireError(response.error);
    return response.result as Verbs[V]["result"];
  } finally {
    closeSync(fd);
    tracePhase(`the daemon answered "${verb}"`, asked);
  }
}

/** Whether a daemon listens there. */
export function listens(stateDirectory: string): boolean {
  try {
    closeSync(connectTo(stateDirectory));
    return true;
  } catch {
    return false;
  }
}

function connectTo(stateDirectory: string): number {
  try {
    using address = socketAddress(join(stateDirectory, "control.sock"));
    return connectUnix(address.path);
  } catch (cause) {
    throw noDaemon(cause);
  }
}

function exchange(fd: number, request: Uint8Array): Response {
  let answer: string;
  try {
    for (let rest = request; rest.length > 0; ) rest = rest.subarray(writeSync(fd, rest));
    answer = readLine(fd);
  } catch (cause) {
    throw cause instanceof CaissonError ? cause : daemonLeft(cause);
  }
  try {
    return parseJson(answer) as Response;
  } catch (cause) {
    throw new CaissonError("CAISSON_E_INTERNAL", "a control message is not JSON", { cause });
  }
}

function readLine(fd: number): string {
  const chunks: Buffer[] = [];
  for (let length = 0; length <= MAX_LINE; ) {
    const buffer = Buffer.allocUnsafe(CHUNK);
    const chunk = buffer.subarray(0, readSync(fd, buffer));
    if (chunk.length === 0) throw daemonLeft();
    const end = chunk.indexOf(NEWLINE);
    chunks.push(end < 0 ? chunk : chunk.subarray(0, end));
    if (end >= 0) return Buffer.concat(chunks).toString();
    length += chunk.length;
  }
  throw new CaissonError("CAISSON_E_INTERNAL", `a control message is longer than ${MAX_LINE} bytes`);
}
