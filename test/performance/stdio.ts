import { createHash } from "node:crypto";
import type { By, Figures } from "./figures.ts";
import type { Shell } from "./shell.ts";

const MIB = 1024 * 1024;
/** What goes each way in a run. */
export const STDIO_MIB = 64;
/** How much must have passed in all before the daemon's peak memory counts. */
export const PEAK_AFTER_MIB = 1024;

/** Bytes that repeat only after a MiB, so that any loss or change of order shows in their hash. */
export function testData(block: Buffer, mib: number): Buffer {
  const data = Buffer.alloc(mib * MIB);
  for (let index = 0; index < mib; index++) {
    block.copy(data, index * MIB, 0, MIB - 4);
    data.writeUInt32LE(index, (index + 1) * MIB - 4);
  }
  return data;
}

/**
 * Sends the data to a file in the guest's memory and has it sent back, so that what comes back shows both ways to be whole.
 * @throws Error when it comes back changed.
 */
export async function timeStdio(shell: Shell, by: By, folder: string, data: Buffer, figures: Figures): Promise<void> {
  const mib = data.length / MIB;
  const sent = await shell.send(`head -c ${data.length} >${folder}/data`, data);
  const back = await shell.receive(`cat ${folder}/data`, data.length);
  await shell.run(`rm ${folder}/data`);
  if (digest(back.data) !== digest([data])) throw new Error(`What went through ${by} came back changed.`);
  figures.add("stdin", by, mib / sent);
  figures.add("stdout", by, mib / back.seconds);
}

function digest(chunks: readonly Buffer[]): string {
  const hash = createHash("sha256");
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest("hex");
}
