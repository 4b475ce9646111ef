import { now } from "../process/clock.ts";
import { log } from "../text/log.ts";
import { printable } from "./agent/printable.ts";
import type { SandboxCall } from "./agent/sandbox-call.ts";
import { GuestLogFile } from "./log-file.ts";
import { LogLimit } from "./log-limit.ts";

/** What a guest may add to our log in a sandbox's life: an agent in order stays far below it. */
const LIMITS = { burst: 256 * 1024, rate: 512, total: 16 * 1024 * 1024 };
const LIMITS_TEXT = "a sandbox may log 256 KiB at once, 512 bytes a second after that, 16 MiB in all";
/** What a record takes besides its text, in bytes: its time, its level, and the word on what was dropped before it. */
const OVERHEAD_BYTES = 256;

/**
 * Brings the agent's log into ours, and into a file, until the connection ends. What it says is the guest's word: shown, never
 * acted on.
 */
export function followGuestLog(sandbox: SandboxCall, file: string): void {
  const limit = new LogLimit(LIMITS, now);
  const kept = new GuestLogFile(file);
  const tellDropped = () => {
    const dropped = limit.takeDropped();
    if (dropped === undefined) return;
    log.warning(`guest: ${dropped.records} log records of ${dropped.bytes} bytes were dropped: ${LIMITS_TEXT}`);
  };
  void sandbox.over.then(() => {
    tellDropped();
    kept.close();
  });
  sandbox.onLog = ({ level, message, dropped }) => {
    const said = printable(message);
    const text = `guest: ${said}`;
    if (!limit.admit(Buffer.byteLength(text) + OVERHEAD_BYTES)) return;
    kept.add(level, said);
    tellDropped();
    if (dropped > 0n) log.warning(`guest: ${dropped} log records were dropped, since we are slower than they come`);
    if (level === "error") log.error(text);
    else if (level === "warning") log.warning(text);
    else if (level === "info") log.info(text);
    else log.debug(text);
  };
}
