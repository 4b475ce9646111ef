import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { release } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const OUT = join(import.meta.dirname, "../../out/native");

/** The library is named from where it is: LD_PRELOAD would be split at what the checkout's path may contain (ld.so(8)). */
function trial(described: string | undefined, ramMib: number, bufferMib: number) {
  const env = { LD_PRELOAD: "./boot-memory.so", ...(described !== undefined && { CAISSON_BOOT_MEMORY: described }) };
  return spawnSync("test/boot-memory-trial", [String(ramMib), String(bufferMib)], { encoding: "utf8", cwd: OUT, env });
}

const [major = 0, minor = 0] = release().split(".").map(Number);
const skip = (major < 5 || (major === 5 && minor < 14)) && "needs Linux 5.14";

test("boot-memory touches the parts of RAM and of the code that it is told of, and nothing else", { skip }, () => {
  const { status, stdout, stderr } = trial("64:32:16:60+4,2+10", 14, 16);
  assert.equal(status, 0, stdout + stderr);
});

test("boot-memory leaves memory of another size alone, and a process that is told nothing", () => {
  for (const described of ["128:64:16:2+10", undefined, "x"]) {
    const { status, stdout, stderr } = trial(described, 0, 0);
    assert.equal(status, 0, stdout + stderr);
  }
});
