/** What a restored process renews of what Node.js has set up once, in the process that was written to the snapshot. */
import type { Restored } from "../../native/snapshot/index.ts";
import { markRestored } from "../process/snapshot.ts";

/** Makes this process the one that was started with those words. */
export function beginRestored({ pid, words: [program = "", ...words] }: Restored): void {
  const script = words.findIndex((word) => !word.startsWith("-"));
  process.argv.splice(0, process.argv.length, program, ...words.slice(script));
  process.execArgv = words.slice(0, script);
  Object.defineProperty(process, "pid", { value: pid, enumerable: true, configurable: true });
  renewClock();
  markRestored();
  // The time zone is asked for once; an assignment has it asked for again.
  if (process.env["TZ"] !== undefined) process.env["TZ"] = `${process.env["TZ"]}`;
}

function renewClock(): void {
  const uptime = process.uptime.bind(process);
  const before = uptime();
  process.uptime = () => uptime() - before;
}
