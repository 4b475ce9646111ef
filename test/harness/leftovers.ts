/**
 * What containers leave on the host when something goes wrong: looked for everywhere they put anything. Sockets are
 * files of the state directory, or descriptors of a process.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const CGROUPS = "/sys/fs/cgroup";

/** Lines, one for each thing of the runtime root, or with the mark in its name, that is still there. */
export function leftovers(root: string, mark: string): string[] {
  return [
    ...entries(root).map((name) => `state directory ${join(root, name)}`),
    ...processes(root, mark),
    ...lines("/proc/self/mountinfo", root).map((line) => `mount ${line.split(" ")[4]}`),
    ...cgroups(mark),
  ];
}

/**
 * Daemons and their QEMUs: those that start name the runtime root, the others are in the container's cgroup. A zombie is
 * only waiting for its parent.
 */
function processes(root: string, mark: string): string[] {
  return entries("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const command = text(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
      const member = command.includes(`"root":"${root}"`) || text(`/proc/${pid}/cgroup`).includes(mark);
      return command !== "" && member ? [`process ${pid}: ${command}`] : [];
    });
}

function cgroups(mark: string): string[] {
  const hierarchies = [CGROUPS, ...entries(CGROUPS).map((name) => join(CGROUPS, name))];
  return hierarchies.flatMap((directory) =>
    entries(join(directory, "caisson"))
      .filter((name) => name.includes(mark))
      .map((name) => `cgroup ${join(directory, "caisson", name)}`),
  );
}

function lines(path: string, part: string): string[] {
  return text(path)
    .split("\n")
    .filter((line) => line.includes(`${part}/`));
}

function text(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
