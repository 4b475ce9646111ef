/**
 * Large files, and folders with many files, in the shared file system: of all who are compared by turns, a part at a time. What the host does
 * meanwhile slows all of them down alike.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Figures } from "./figures.ts";
import type { SharedFolder } from "./files.ts";
import { LARGE_FILES, LARGE_MIB, MANY_FILES, MANY_FOLDERS } from "./things.ts";

const MIB = 1024 * 1024;
/** A listing takes less than a second, which a busy moment of the host's may double. */
const LISTINGS = 5;

/**
 * Files of LARGE_MIB together. The time is until the host has them, which is checked there.
 * @param all each in a guest of its own.
 */
export async function timeLarge(all: readonly SharedFolder[], figures: Figures): Promise<void> {
  const names = Array.from({ length: LARGE_FILES }, (_, file) => `large-${file}`);
  const mib = LARGE_MIB / LARGE_FILES;
  const write = await byTurns(
    all,
    names,
    (path) => `dd if=/dev/zero of=${path} bs=1M count=${mib} conv=fsync 2>/dev/null`,
  );
  for (const [by, seconds] of write) figures.add("large-write", by, seconds);
  for (const { shell, by, onHost, inGuest } of all) {
    const isWhole = names.every((name) => statSync(join(onHost, name)).size === mib * MIB);
    if (!isWhole) throw new Error(`What ${by} wrote is cut.`);
    await shell.run(`rm ${names.map((name) => `${inGuest}/${name}`).join(" ")}`);
  }
}

/** @param all as before. */
export async function timeMany(all: readonly SharedFolder[], figures: Figures): Promise<void> {
  for (const { shell, inGuest } of all) await shell.run(`mkdir ${inGuest}/many`);
  const names = Array.from({ length: MANY_FOLDERS }, (_, folder) => `many/${folder}`);
  const create = await byTurns(all, names, (path) => {
    const loop = `i=0; while [ $i -lt ${MANY_FILES / MANY_FOLDERS} ]; do : >$i; i=$((i + 1)); done`;
    return `mkdir ${path} && cd ${path} && { ${loop}; } && cd /`;
  });
  for (const { by, onHost } of all) {
    const made = names.flatMap((name) => readdirSync(join(onHost, name))).length;
    if (made !== MANY_FILES) throw new Error(`${by} made ${made} files of ${MANY_FILES}.`);
  }
  for (let listing = 0; listing < LISTINGS; listing++) {
    // Else a root without /etc would be searched for names and the time zone, once a file.
    const stat = await byTurns(all, ["many"], (path) => `TZ=UTC0 ls -lnR ${path} >/dev/null`);
    for (const [by, seconds] of stat) figures.add("many-stat", by, seconds);
  }
  const remove = await byTurns(all, names, (path) => `rm -r ${path}`);
  for (const [by, seconds] of create) figures.add("many-create", by, seconds);
  for (const [by, seconds] of remove) figures.add("many-remove", by, seconds);
  for (const { shell, by, onHost, inGuest } of all) {
    await shell.run(`rmdir ${inGuest}/many`);
    if (existsSync(join(onHost, "many"))) throw new Error(`What ${by} removed is still there.`);
  }
}

/** @returns for each of all how many seconds the commands took it for all the names together. */
async function byTurns(
  all: readonly SharedFolder[],
  names: readonly string[],
  command: (path: string) => string,
): Promise<Map<SharedFolder["by"], number>> {
  const seconds = new Map(all.map(({ by }) => [by, 0]));
  for (const name of names) {
    for (const { shell, by, inGuest } of all) {
      seconds.set(by, (seconds.get(by) ?? 0) + (await shell.run(command(`${inGuest}/${name}`))));
    }
  }
  return seconds;
}
