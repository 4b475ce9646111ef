import assert from "node:assert/strict";
import { mkdtempSync, rmdirSync, statSync } from "node:fs";
import { after, test } from "node:test";
import type { Spec } from "../../../protocol/oci.ts";
import { giveBack } from "../../oci/set-aside.ts";
import { sharedMemoryBytes, takeSharedMemory } from "./shared-memory.ts";

function withShm(source: string, options = ["rbind", "nosuid", "ro"]): Spec {
  return {
    ociVersion: "1.0.2",
    mounts: [
      { destination: "/proc", type: "proc" },
      { destination: "/dev/shm", type: "bind", source, options },
    ],
  };
}

test("takeSharedMemory makes a tmpfs of the host one of the guest", () => {
  // A tmpfs on every Linux host.
  const config = takeSharedMemory(withShm("/dev/shm"));
  assert.ok(sharedMemoryBytes(config) > 1024 * 1024);
  assert.deepEqual(giveBack(config).mounts, [
    { destination: "/proc", type: "proc" },
    {
      destination: "/dev/shm",
      type: "bind",
      source: `/run/caisson/shm/${statSync("/dev/shm").dev}`,
      options: ["bind", "nosuid", "ro"],
    },
  ]);
});

test("takeSharedMemory leaves other sources and other places alone", () => {
  const folder = mkdtempSync("/dev/shm/caisson-");
  after(() => rmdirSync(folder));
  for (const source of ["/proc/self", "/no/such/folder", folder]) {
    const config = withShm(source);
    assert.equal(takeSharedMemory(config), config);
    assert.equal(sharedMemoryBytes(config), 0);
    assert.deepEqual(giveBack(config), config);
  }
  const elsewhere: Spec = { ociVersion: "1.0.2", mounts: [{ destination: "/shm", type: "bind", source: "/dev/shm" }] };
  assert.equal(takeSharedMemory(elsewhere), elsewhere);
});
