import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import type { ProcessInfo } from "../../protocol/generated/agent.ts";

/** USER_HZ, the unit of times in /proc: 100 on every Linux that Node runs on (time(7)). */
const NS_PER_TICK = 10_000_000n;
/** The size of a page on x86-64. */
const PAGE_BYTES = 4096n;
const UNIX98_MAJORS = { first: 136, last: 143 };
const TTY_MAJOR = 4;

/** The moment the guest booted, on its CLOCK_REALTIME as set now; start times in /proc count from it. */
export function bootTimeNs(): bigint {
  const uptimeSeconds = Number(readFileSync("/proc/uptime", "latin1").split(" ")[0]);
  return BigInt(Date.now()) * 1_000_000n - BigInt(Math.round(uptimeSeconds * 1000)) * 1_000_000n;
}

/** What ps shows of one process (proc(5)); undefined when it has ended. */
export function describeProcess(pid: number, bootNs: bigint): ProcessInfo | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return parseProcess(pid, { stat, status, command }, bootNs);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}

/** The pure half of describeProcess(): the texts of /proc/PID/stat, status and cmdline in, the description out. */
export function parseProcess(
  pid: number,
  text: { stat: string; status: string; command: string },
  bootNs: bigint,
): ProcessInfo {
  // The name in parentheses may itself hold spaces and parentheses; the fields go on after its last one.
  const close = text.stat.lastIndexOf(")");
  const name = text.stat.slice(text.stat.indexOf("(") + 1, close);
  const fields = text.stat.slice(close + 2).split(" ");
  const field = (number: number): string => fields[number - 3] ?? "0";
  const residentBytes = BigInt(field(24)) * PAGE_BYTES;
  const words = text.command.split("\0");
  if (words.at(-1) === "") words.pop();
  return {
    pid,
    parentPid: Number(field(4)),
    uid: Number(/^Uid:\s+(\d+)/m.exec(text.status)?.[1] ?? 0),
    cpuNs: (BigInt(field(14)) + BigInt(field(15))) * NS_PER_TICK,
    startedAtNs: bootNs + BigInt(field(22)) * NS_PER_TICK,
    tty: ttyName(Number(field(7))),
    command: words.length > 0 ? words.join(" ") : `[${name}]`,
    stat: statOf(pid, field),
    virtualBytes: BigInt(field(23)),
    residentBytes,
    memoryPermille: Number((residentBytes * 1000n) / BigInt(totalmem())),
  };
}

/** ps(1), PROCESS STATE CODES, in its order; of locked pages nothing is told. */
function statOf(pid: number, field: (number: number) => string): string {
  const [state, group, session, terminalGroup, nice, threads] = [3, 5, 6, 8, 19, 20].map(field);
  return [
    state,
    Number(nice) < 0 ? "<" : Number(nice) > 0 ? "N" : "",
    Number(session) === pid ? "s" : "",
    Number(threads) > 1 ? "l" : "",
    Number(terminalGroup) > 0 && terminalGroup === group ? "+" : "",
  ].join("");
}

/** The name for a device number as /proc/PID/stat packs it: minor bits 31-20 and 7-0, major bits 15-8. */
function ttyName(device: number): string {
  const major = (device >>> 8) & 0xff;
  const minor = ((device >>> 12) & 0xfff00) | (device & 0xff);
  if (major >= UNIX98_MAJORS.first && major <= UNIX98_MAJORS.last) {
    return `pts/${(major - UNIX98_MAJORS.first) * 256 + minor}`;
  }
  if (major === TTY_MAJOR) return minor < 64 ? `tty${minor}` : `ttyS${minor - 64}`;
  return "?";
}
