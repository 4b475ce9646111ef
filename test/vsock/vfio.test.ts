import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runInSteadyVm } from "./outer-vm.ts";

/** An IOMMU that remaps interrupts, as VFIO asks for. */
const IOMMU = ["-device", "intel-iommu,intremap=on"];
const DISK_BYTES = 1024 * 1024;

test("PCI functions that are bound to vfio-pci are passed to a sandbox", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "caisson-vfio-disk-"));
  try {
    const disk = join(folder, "disk");
    writeFileSync(disk, "read by the container".padEnd(DISK_BYTES, "\0"));
    const job = "exec test/vsock/inside/job.sh test/vsock/inside/vfio.test.ts";
    const options = {
      name: "vfio",
      timeoutMs: 900_000,
      devices: [
        ...IOMMU,
        ...["-drive", `if=none,id=disk,format=raw,file=${disk}`, "-device", "nvme,serial=1,drive=disk"],
        // One whose driver comes later than the VM's own devices, and one that the guest has from its boot on.
        ...["-device", "e1000e,mac=52:54:00:00:00:01"],
        ...["-device", "virtio-net-pci,mac=52:54:00:00:00:02,disable-legacy=on,iommu_platform=on"],
        // Nothing has a driver for it.
        ...["-device", "edu"],
      ],
      kernelParams: ["intel_iommu=on"],
    };
    const { exitStatus, output } = await runInSteadyVm(job, options, (message) => t.diagnostic(message));
    for (const line of output.trim().split("\n")) t.diagnostic(line);
    assert.equal(exitStatus, 0, output);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
