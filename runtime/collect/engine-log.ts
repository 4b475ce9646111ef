import { execFile } from "node:child_process";

const UNITS = ["containerd", "crio", "docker", "kubelet", "caisson-monitor"];
const LIMIT_MS = 10_000;
const MOST_LINES = 20_000;
const MOST_BYTES = 64 * 1024 * 1024;
/** What the engines say of us. Their other lines are not ours to hand on, and may hold a container's environment. */
const OURS = /caisson/i;
/** Whole requests, which engines print when they debug. */
const REQUEST = /env(s|ironment)?["\\]*[:=]/i;

/** The lines of the engines' journals that are about us, since the host booted. Rejects when there is no journal. */
export async function engineLines(): Promise<string> {
  const args = ["--boot", "--no-pager", "--quiet", "--output", "short-iso-precise", "--lines", String(MOST_LINES)];
  const units = UNITS.flatMap((unit) => ["--unit", unit]);
  const text = await new Promise<string>((resolve, reject) => {
    execFile("journalctl", [...args, ...units], { timeout: LIMIT_MS, maxBuffer: MOST_BYTES }, (error, stdout) =>
      error ? reject(error) : resolve(stdout),
    );
  });
  return ourLines(text);
}

/** Pure half of engineLines(). */
export function ourLines(text: string): string {
  return text
    .split("\n")
    .filter((line) => OURS.test(line))
    .map((line) => `${REQUEST.test(line) ? `${line.split(" ", 3).join(" ")} <left out>` : line}\n`)
    .join("");
}
