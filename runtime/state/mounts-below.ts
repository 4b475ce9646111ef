/** Mount points below a directory, as this process's mount namespace has them. */
import { readFileSync } from "node:fs";

/** Deepest first. `mountinfo` is the text of proc_pid_mountinfo(5). */
export function mountsBelow(directory: string, mountinfo = readFileSync("/proc/self/mountinfo", "utf8")): string[] {
  const points: string[] = [];
  for (const line of mountinfo.split("\n")) {
    const point = line
      .split(" ")[4]
      ?.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
    if (point !== undefined && (point === directory || point.startsWith(`${directory}/`))) points.push(point);
  }
  return points.sort((a, b) => b.length - a.length);
}
