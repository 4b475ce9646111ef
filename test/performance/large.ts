/** A large file and a folder with many files, in the shared file system. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Figures } from "./figures.ts";
import type { SharedFolder } from "./files.ts";
import { LARGE_MIB, MANY_FILES } from "./things.ts";

const MIB = 1024 * 1024;

/** Times are until the host has it, which is checked there. */
export async function timeLarge({ shell, by, onHost, inGuest }: SharedFolder, figures: Figures): Promise<void> {
  const file = `${inGuest}/large-file`;
  const write = await shell.run(`dd if=/dev/zero of=${file} bs=1M count=${LARGE_MIB} conv=fsync 2>/dev/null`);
  if (statSync(join(onHost, "large-file")).size !== LARGE_MIB * MIB) throw new Error(`What ${by} wrote is cut.`);
  await shell.run(`rm ${file}`);
  figures.add("large-write", by, write);

  const folder = `${inGuest}/many`;
  const loop = `i=0; while [ $i -lt ${MANY_FILES} ]; do : >$i; i=$((i + 1)); done`;
  const create = await shell.run(`mkdir ${folder} && cd ${folder} && { ${loop}; } && cd /`);
  const made = readdirSync(join(onHost, "many")).length;
  if (made !== MANY_FILES) throw new Error(`${by} made ${made} files of ${MANY_FILES}.`);
  // Else a root without /etc would be searched for names and the time zone, once a file.
  const stat = await shell.run(`TZ=UTC0 ls -ln ${folder} >/dev/null`);
  const remove = await shell.run(`rm -r ${folder}`);
  if (existsSync(join(onHost, "many"))) throw new Error(`What ${by} removed is still there.`);
  for (const [what, seconds] of Object.entries({ create, stat, remove })) figures.add(`many-${what}`, by, seconds);
}
