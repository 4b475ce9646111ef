import { closeSync, constants, openSync, readSync } from "node:fs";

/** A record of /dev/kmsg has at most this (CONSOLE_EXT_LOG_MAX). */
const RECORD_BYTES = 8192;
/** The last records that are kept. */
const MOST_RECORDS = 4000;
/** The kernel's ring has fewer; a kernel that writes all the time does not keep us. */
const MOST_READS = 200_000;

/** The host's kernel messages, the last ones, a line each. Throws the system's error when they cannot be read. */
export async function kernelMessages(): Promise<string> {
  const fd = openSync("/dev/kmsg", constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const records: string[] = [];
    const buffer = Buffer.alloc(RECORD_BYTES);
    for (let reads = 0; reads < MOST_READS; reads++) {
      const length = readRecord(fd, buffer);
      if (length === 0) break;
      // Overwritten meanwhile: the next read gets the oldest that there is.
      if (length === undefined) continue;
      records.push(formatRecord(buffer.toString("utf8", 0, length)));
      if (records.length > MOST_RECORDS) records.shift();
    }
    return records.join("");
  } finally {
    closeSync(fd);
  }
}

/** Documentation/ABI/testing/dev-kmsg: `priority,sequence,microseconds,flags;text`, and lines of its properties. */
export function formatRecord(record: string): string {
  const [, microseconds = "0", text = ""] = /^[^,]*,[^,]*,(\d+)[^;]*;([^\n]*)/.exec(record) ?? [];
  const seconds = (Number(microseconds) / 1e6).toFixed(6).padStart(12);
  return `[${seconds}] ${text}\n`;
}

function readRecord(fd: number, buffer: Buffer): number | undefined {
  try {
    return readSync(fd, buffer);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EPIPE") return undefined;
    if (code === "EAGAIN") return 0;
    throw error;
  }
}
