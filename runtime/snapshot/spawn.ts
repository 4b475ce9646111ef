import { readFileSync, rmSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { SharedCgroup } from "../cgroup/cgroup.ts";
import type { Settings } from "../config/load.ts";
import { MAKERS_CGROUP } from "../factory/deferred.ts";
import { callersPlace } from "../process/callers.ts";
import { memoryFolder } from "../process/memory-folder.ts";
import type { Role } from "../process/roles.ts";
import { findSnapshot, hasFailed } from "../process/snapshot.ts";
import { type OwnProcess, startChild } from "../process/spawn-self.ts";

/** Below it are the descriptors that whoever is restored has been given: Node.js keeps off them if they are in use when it starts. */
export const FIRST_DESCRIPTOR = 100;

/** More than twice what a snapshot takes. */
const ROOM_BYTES = 128 * 1024 * 1024;

/** personality(2), as by setarch --addr-no-randomize. */
const ADDR_NO_RANDOMIZE = 0x0040000;

const MAKER: Role = "make-snapshot";
const FLAGS = [
  // Threads are no part of a snapshot.
  "--single-threaded",
  "--v8-pool-size=1",
  // What goes through standard streams is young garbage, which a daemon need not keep 16 MiB of.
  "--max-semi-space-size=4",
  // Nor are the keys by which processors protect memory.
  "--no-memory-protection-keys",
  // Whatever a process may execute is compiled, and stays.
  "--no-lazy",
  "--no-flush-bytecode",
  // What V8 has put off for some seconds, a collection of all garbage, would be due at once in each restored process.
  "--no-memory-reducer",
];

/**
 * What has this program's snapshot made; undefined when there is one, or it cannot be, or the settings are against it: then a former one is
 * removed. What it starts ends with 0 when there is a snapshot, and throws the system's error.
 */
export function snapshotMaker({ snapshot }: Settings): (() => OwnProcess) | undefined {
  const script = process.argv[1] ?? "";
  const found = findSnapshot(script);
  if (snapshot === "off" && found !== undefined) rmSync(found, { force: true });
  if (snapshot === "off" || found !== undefined || hasFailed(script) || !hasRoom() || !isRandomized()) {
    return undefined;
  }
  // Made early: later on this process stands for its container, in whose mount namespace there are no cgroups.
  const cgroup = new SharedCgroup(MAKERS_CGROUP);
  return () => {
    // It removes the cgroup at its end.
    cgroup.make();
    const maker = spawnMaker(script);
    cgroup.adopt([maker.pid]);
    return maker;
  };
}

/** On the file system that it goes to, where there is one. */
function hasRoom(): boolean {
  try {
    const { bavail, bsize } = statfsSync(dirname(memoryFolder()));
    return bavail * bsize >= ROOM_BYTES;
  } catch {
    return false;
  }
}

/** Whether the kernel places programs at random for this process and what it starts; where all others are restored must not be known to all. */
function isRandomized(): boolean {
  return (Number.parseInt(readFileSync("/proc/self/personality", "latin1"), 16) & ADDR_NO_RANDOMIZE) === 0;
}

function spawnMaker(script: string): OwnProcess {
  const words = [process.execPath, "--disable-sigusr1", "--use-openssl-ca", ...FLAGS, script, MAKER];
  const maker = startChild(words, "ignore", { firstDescriptor: FIRST_DESCRIPTOR, place: callersPlace() });
  maker.connection.on("error", () => {}).destroy();
  return maker;
}
