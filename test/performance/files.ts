import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { By, Figures } from "./figures.ts";
import type { Shell } from "./shell.ts";
import { SMALL_FILES } from "./things.ts";

const MIB = 1024 * 1024;
export const FILE_MIB = 64;
const SMALL_BYTES = 100;

/** A directory of the host as it is in a guest, and a file system in the guest's memory. */
export interface SharedFolder {
  shell: Shell;
  by: By;
  onHost: string;
  inGuest: string;
  memory: string;
}

/**
 * Reads, writes, stats and removes in the shared file system. What is read is new to the guest each time, so that none of it
 * comes from its page cache; what is written is on the host when the time ends, and checked there.
 */
export async function timeFiles(folder: SharedFolder, figures: Figures): Promise<void> {
  const work = join(folder.onHost, "work");
  mkdirSync(work);
  try {
    await timeLargeFile(folder, figures);
    await timeSmallFiles(folder, figures);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function timeLargeFile({ shell, by, onHost, inGuest, memory }: SharedFolder, figures: Figures): Promise<void> {
  const data = randomBytes(FILE_MIB * MIB);
  const name = `work/large-${data.toString("hex", 0, 4)}`;
  writeFileSync(join(onHost, name), data);
  const read = await shell.run(`dd if=${inGuest}/${name} of=${memory}/copy bs=1M 2>/dev/null`);
  const write = await shell.run(`dd if=${memory}/copy of=${inGuest}/${name}.out bs=1M conv=fsync 2>/dev/null`);
  await shell.run(`rm ${memory}/copy`);
  if (!readFileSync(join(onHost, `${name}.out`)).equals(data))
    throw new Error(`The file that ${by} copied is changed.`);
  figures.add("read", by, FILE_MIB / read);
  figures.add("write", by, FILE_MIB / write);
}

async function timeSmallFiles({ shell, by, onHost, inGuest }: SharedFolder, figures: Figures): Promise<void> {
  const mark = randomBytes(4).toString("hex");
  const theirs = `work/theirs-${mark}`;
  mkdirSync(join(onHost, theirs));
  for (let index = 0; index < SMALL_FILES; index++) {
    writeFileSync(join(onHost, theirs, String(index)), "x".repeat(SMALL_BYTES));
  }
  const stat = await shell.run(`stat -c %s ${inGuest}/${theirs}/* >/dev/null`);
  const read = await shell.run(`cat ${inGuest}/${theirs}/* >/dev/null`);

  const own = `work/own-${mark}`;
  const line = "x".repeat(SMALL_BYTES - 1);
  // The shell's own `echo`: no process is started for a file.
  const loop = `i=0; while [ $i -lt ${SMALL_FILES} ]; do echo ${line} >$i; i=$((i + 1)); done`;
  const create = await shell.run(`mkdir ${inGuest}/${own} && cd ${inGuest}/${own} && { ${loop}; } && sync`);
  checkOwn(join(onHost, own), `${line}\n`, by);
  const remove = await shell.run(`cd / && rm -r ${inGuest}/${own}`);
  if (existsSync(join(onHost, own))) throw new Error(`What ${by} removed is still there.`);

  for (const [what, seconds] of Object.entries({ create, stat, read, remove })) {
    figures.add(`small-${what}`, by, seconds);
  }
}

function checkOwn(directory: string, text: string, by: By): void {
  const names = readdirSync(directory);
  const whole = names.every((name) => readFileSync(join(directory, name), "utf8") === text);
  if (names.length !== SMALL_FILES || !whole) throw new Error(`The small files that ${by} wrote are not on the host.`);
}
