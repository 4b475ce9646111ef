import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { nodesBelow } from "./nodes.ts";

const root = mkdtempSync(join(tmpdir(), "caisson-nodes-"));
after(() => rmSync(root, { recursive: true }));
for (const name of ["class/nvme", "class/block", "bus/pci"]) mkdirSync(join(root, name), { recursive: true });

/** What a driver has made below a device. */
function make(path: string, subsystem: string, node?: { name: string; numbers: string }): void {
  const folder = join(root, "device", path);
  mkdirSync(folder, { recursive: true });
  symlinkSync(join(root, subsystem), join(folder, "subsystem"));
  writeFileSync(join(folder, "uevent"), node === undefined ? "" : `MAJOR=1\nDEVNAME=${node.name}\n`);
  if (node !== undefined) writeFileSync(join(folder, "dev"), `${node.numbers}\n`);
}

test("nodesBelow has the nodes of all devices below a function, and follows no link", () => {
  make("", "bus/pci");
  make("nvme/nvme0", "class/nvme", { name: "nvme0", numbers: "245:0" });
  make("nvme/nvme0/nvme0n1", "class/block", { name: "nvme0n1", numbers: "259:0" });
  make("nvme/nvme0/nvme0n1/nvme0n1p1", "class/block", { name: "nvme0n1p1", numbers: "259:1" });
  make("nvme/nvme0/without", "class/nvme");
  symlinkSync(join(root, "device"), join(root, "device/nvme/nvme0/device"));
  assert.deepEqual(nodesBelow(join(root, "device")), [
    { path: "/dev/nvme0", type: "c", major: 245, minor: 0 },
    { path: "/dev/nvme0n1", type: "b", major: 259, minor: 0 },
    { path: "/dev/nvme0n1p1", type: "b", major: 259, minor: 1 },
  ]);
  assert.deepEqual(nodesBelow(join(root, "nowhere")), []);
});
