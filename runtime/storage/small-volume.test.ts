import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { isReplacedAsAWhole, readVolume } from "./small-volume.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-small-"));
after(() => rmSync(folder, { recursive: true }));
const LIMITS = { bytes: 1000, entries: 20 };

/** A ConfigMap as kubelet writes it. */
function configMap(name: string): string {
  const directory = join(folder, name);
  mkdirSync(join(directory, "..1/sub"), { recursive: true });
  mkdirSync(join(directory, "..2"));
  writeFileSync(join(directory, "..1/key"), "value");
  chmodSync(join(directory, "..1/key"), 0o640);
  writeFileSync(join(directory, "..1/sub/other"), "x");
  writeFileSync(join(directory, "..2/key"), "val");
  symlinkSync("..1", join(directory, "..data"));
  symlinkSync("..data/key", join(directory, "key"));
  symlinkSync("..data/sub", join(directory, "sub"));
  return directory;
}

test("readVolume has what ..data leads to, and not what is being written", () => {
  const directory = configMap("a");
  assert.equal(isReplacedAsAWhole(directory), true);
  const entries = readVolume(directory, LIMITS) ?? [];
  assert.deepEqual(
    entries.map(({ path, content }) => [path, content.toString()]),
    [
      ["", ""],
      ["..1", ""],
      ["..1/key", "value"],
      ["..1/sub", ""],
      ["..1/sub/other", "x"],
      ["..data", "..1"],
      ["key", "..data/key"],
      ["sub", "..data/sub"],
    ],
  );
  assert.equal((entries[2]?.mode ?? 0) & 0o7777, 0o640);
  symlinkSync("..2", join(directory, "..tmp"));
  renameSync(join(directory, "..tmp"), join(directory, "..data"));
  assert.deepEqual(
    readVolume(directory, LIMITS)?.map(({ path }) => path),
    ["", "..2", "..2/key", "..data", "key", "sub"],
  );
});

test("readVolume leaves what is large to others, and isReplacedAsAWhole ordinary directories", () => {
  const directory = configMap("b");
  assert.equal(readVolume(directory, { bytes: 5, entries: 20 }), undefined);
  assert.equal(readVolume(directory, { bytes: 1000, entries: 7 }), undefined);
  writeFileSync(join(directory, "..1/large"), Buffer.alloc(1001));
  assert.equal(readVolume(directory, LIMITS), undefined);
  assert.equal(isReplacedAsAWhole(join(directory, "..1")), false);
  assert.equal(isReplacedAsAWhole("/nonexistent"), false);
});

test("readVolume never has a link without what it leads to, however fast the host is", async () => {
  const directory = configMap("fast");
  // In a process of its own, since readVolume lets nothing else run.
  const script = `cd ${directory}; i=1; while [ ! -e stop ]; do n=$((i + 1)); mkdir ..new$n; echo $n > ..new$n/key; ln -s ..new$n tmp
    mv -T tmp ..data; rm -rf ..new$i; i=$n; done`;
  const host = spawn("sh", ["-c", script], { stdio: "ignore" });
  try {
    for (let reads = 0; reads < 200; reads++) {
      const entries = readVolume(directory, LIMITS) ?? [];
      const leadsTo = entries.find(({ path }) => path === "..data")?.content.toString();
      assert.ok(
        entries.some(({ path }) => path === `${leadsTo}/key`),
        entries.map(({ path }) => path).join(" "),
      );
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  } finally {
    writeFileSync(join(directory, "stop"), "");
    await once(host, "close");
  }
});
