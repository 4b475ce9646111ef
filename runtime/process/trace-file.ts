/** The file of `--trace`: a JSON array of Chrome trace events, whole after each write, to which several processes add. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { flock, constants as posix } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { systemErrorSentence } from "../text/errors.ts";
import { pause } from "../text/pause.ts";

const START = "[\n";
const SEPARATOR = ",\n";
const END = "\n]\n";
/** Longer than a writer has the file; past it events are lost, because a trace must not hold up what it traces. */
const LOCK_LIMIT_MS = 1000;
const PAUSE_MS = 2;

/**
 * Adds events, each the JSON text of one, to the file at `path`; `anew` drops what it holds.
 * @throws CaissonError CAISSON_E_USAGE when it is no regular file that can be written.
 */
export function addEvents(path: string, events: readonly string[], anew = false): void {
  try {
    // Without O_NONBLOCK opening a FIFO would wait for its reader.
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK, 0o644);
    try {
      if (!fstatSync(fd).isFile()) throw new Error("it is not a regular file");
      if (lock(fd)) write(fd, events.join(SEPARATOR), anew);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throw new CaissonError("CAISSON_E_USAGE", systemErrorSentence(`write the trace file ${path}`, cause), {
      cause,
      remedy: "Name a file that can be written with --trace.",
    });
  }
}

/** Until the descriptor is closed. */
function lock(fd: number): boolean {
  for (let waited = 0; waited < LOCK_LIMIT_MS; waited += PAUSE_MS) {
    if (flock(fd, posix.LOCK_EX | posix.LOCK_NB)) return true;
    pause(PAUSE_MS);
  }
  return false;
}

/** In one call over the end of the array, so that whoever is killed meanwhile leaves a whole one. */
function write(fd: number, events: string, anew: boolean): void {
  const { size } = fstatSync(fd);
  const end = Buffer.alloc(END.length);
  const isArray =
    size > START.length + END.length && readSync(fd, end, 0, end.length, size - end.length) === end.length;
  if (!anew && isArray && end.toString() === END) {
    writeSync(fd, Buffer.from(`${SEPARATOR}${events}${END}`), 0, undefined, size - END.length);
    return;
  }
  ftruncateSync(fd);
  writeSync(fd, Buffer.from(`${START}${events}${END}`), 0, undefined, 0);
}
