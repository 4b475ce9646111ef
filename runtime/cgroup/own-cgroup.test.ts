import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { constants, flock } from "../../native/posix/index.ts";
import type { CgroupFolder } from "../state/record.ts";
import { cgroupMounts } from "./cgroup.ts";
import { inodeOf, processesIn, readOptional } from "./folder.ts";
import { OwnCgroup } from "./own-cgroup.ts";
import { removeCgroup } from "./remove.ts";

const root = process.getuid?.() === 0;
const v2 = cgroupMounts().find(({ kind }) => kind === "v2");
const freezer = cgroupMounts().find(({ kind }) => kind.split(",").includes("freezer"));
const mounts = [v2, freezer].filter((mount) => mount !== undefined);
const skip = root && mounts.length > 0 ? false : "needs root and cgroups";
const noV2 = root && v2 !== undefined ? false : "needs root and cgroup v2";
const noFreezer = root && freezer !== undefined ? false : "needs root and the freezer of cgroup v1";

const sleepers: ChildProcess[] = [];
const made: string[] = [];

/** A path that nobody has, and its folders. */
function fresh(): { path: string; folders: string[] } {
  const path = `/caisson-test-${randomBytes(4).toString("hex")}`;
  const folders = mounts.map(({ directory }) => join(directory, path));
  made.push(...folders);
  return { path, folders };
}

/** A process of somebody else's in these folders. */
async function sleeper(...folders: string[]): Promise<number> {
  const child = spawn("sleep", ["1000"], { stdio: "ignore" });
  sleepers.push(child);
  await new Promise((resolve) => child.once("spawn", resolve));
  for (const folder of folders) writeFileSync(join(folder, "cgroup.procs"), String(child.pid));
  return child.pid ?? 0;
}

const lives = (pid: number) => /^\d+ \(sleep\) [^ZX]/.test(readOptional(`/proc/${pid}/stat`));

afterEach(async () => {
  for (const folder of made) {
    if (/^FR/.test(readOptional(join(folder, "freezer.state")))) writeFileSync(join(folder, "freezer.state"), "THAWED");
  }
  for (const child of sleepers.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
  }
  for (const folder of made.splice(0).reverse()) {
    for (const end = performance.now() + 2000; existsSync(folder) && performance.now() < end; ) {
      try {
        rmdirSync(folder);
      } catch {
        await delay(5);
      }
    }
  }
});

/** Claims it and forgets the lock, as a process that is killed does. */
async function claimed(path: string): Promise<readonly CgroupFolder[]> {
  let record: readonly CgroupFolder[] = [];
  const cgroup = OwnCgroup.claim(
    path,
    (folders) => {
      record = folders;
    },
    mounts,
  );
  const pids = cgroup.processes();
  assert.deepEqual(pids, []);
  unlock(cgroup);
  return record;
}

/** There is no process to kill in a unit test. */
function unlock(cgroup: OwnCgroup): void {
  const kept = made.splice(0);
  const remove = cgroup.remove;
  cgroup.remove = () => false;
  cgroup.giveUp();
  cgroup.remove = remove;
  made.push(...kept);
}

test("OwnCgroup.claim puts on record what it is about to make, then what it has made", { skip }, () => {
  const { path, folders } = fresh();
  const saved: { there: boolean[]; folders: readonly CgroupFolder[] }[] = [];
  const save = (record: readonly CgroupFolder[]) => saved.push({ there: folders.map(existsSync), folders: record });
  const cgroup = OwnCgroup.claim(path, save, mounts);
  assert.deepEqual(saved, [
    { there: folders.map(() => false), folders: folders.map((folder) => ({ path: folder, made: true })) },
    {
      there: folders.map(() => true),
      folders: folders.map((folder) => ({ path: folder, inode: inodeOf(folder), made: true })),
    },
  ]);
  assert.equal(cgroup.remove(), true);
  assert.deepEqual(
    folders.map(existsSync),
    folders.map(() => false),
  );
});

test("OwnCgroup.claim refuses a cgroup with processes, in whichever hierarchy, and changes nothing", {
  skip,
}, async () => {
  for (const index of mounts.keys()) {
    const { path, folders } = fresh();
    const folder = folders[index] ?? "";
    mkdirSync(folder);
    const pid = await sleeper(folder);
    const refusal = { code: "CAISSON_E_CGROUP", field: "linux.cgroupsPath", message: new RegExp(`pid ${pid} in`) };
    assert.throws(() => OwnCgroup.claim(path, () => assert.fail("nothing is ours"), mounts), refusal);
    assert.ok(lives(pid));
    assert.deepEqual(
      folders.map(existsSync),
      folders.map((each) => each === folder),
    );
  }
});

test("OwnCgroup.claim refuses a cgroup with processes below it", { skip }, async () => {
  const { path, folders } = fresh();
  const child = join(folders[0] ?? "", "child");
  mkdirSync(child, { recursive: true });
  made.push(child);
  const pid = await sleeper(child);
  assert.throws(() => OwnCgroup.claim(path, () => {}, mounts), { message: new RegExp(`pid ${pid} in`) });
  assert.ok(lives(pid));
});

test("OwnCgroup.claim refuses a cgroup that another sandbox has, though it is empty", { skip }, async () => {
  const { path, folders } = fresh();
  const first = OwnCgroup.claim(path, () => {}, mounts);
  assert.throws(() => OwnCgroup.claim(path, () => {}, mounts), { message: /another sandbox's/ });
  assert.ok(folders.every(existsSync));
  await first.end(1000);
  await OwnCgroup.claim(path, () => {}, mounts).end(1000);
});

test("OwnCgroup.claim takes an empty cgroup, and a create that fails leaves it there", { skip }, async () => {
  const { path, folders } = fresh();
  for (const folder of folders) mkdirSync(folder);
  const child = join(folders[0] ?? "", "child");
  mkdirSync(child);
  made.push(child);
  let record: readonly CgroupFolder[] = [];
  const cgroup = OwnCgroup.claim(
    path,
    (saved) => {
      record = saved;
    },
    mounts,
  );
  const left = await sleeper(...folders);
  await cgroup.discard(2000);
  assert.ok(!lives(left) && [...folders, child].every(existsSync));
  await removeCgroup(record, false);
  assert.ok([...folders, child].every(existsSync));
  await removeCgroup(record, true);
  assert.ok(![...folders, child].some(existsSync));
});

test("OwnCgroup.claim refuses what is frozen, itself or above", { skip }, () => {
  for (const { kind, directory } of mounts) {
    const { path } = fresh();
    const folder = join(directory, path);
    const [file, on, off] = kind === "v2" ? ["cgroup.freeze", "1", "0"] : ["freezer.state", "FROZEN", "THAWED"];
    mkdirSync(folder);
    writeFileSync(join(folder, file), on);
    for (const wanted of [path, `${path}/a/b`]) {
      assert.throws(() => OwnCgroup.claim(wanted, () => assert.fail("nothing is ours"), mounts), { message: /frozen/ });
    }
    writeFileSync(join(folder, file), off);
  }
});

test("removeCgroup ends what is in the cgroup itself, and removes empty ones below it", { skip }, async () => {
  const { path, folders } = fresh();
  const record = await claimed(path);
  for (const folder of folders) mkdirSync(join(folder, "a", "b"), { recursive: true });
  const left = await sleeper(...folders);
  await removeCgroup(record, true);
  assert.ok(!lives(left));
  assert.deepEqual(
    folders.map(existsSync),
    folders.map(() => false),
  );
});

test("removeCgroup lets others' processes live in cgroups below, and says which is in the way", {
  skip: noV2,
}, async () => {
  const { path, folders } = fresh();
  const record = await claimed(path);
  const child = join(folders[0] ?? "", "child");
  mkdirSync(join(child, "empty"), { recursive: true });
  made.push(child, join(child, "empty"));
  const other = await sleeper(child);
  const own = await sleeper(folders[0] ?? "");
  await assert.rejects(removeCgroup(record, true), {
    code: "CAISSON_E_CGROUP",
    message: new RegExp(`in use by process ${other}`),
  });
  assert.ok(lives(other) && !lives(own) && existsSync(join(child, "empty")));
  assert.deepEqual(processesIn(child), [other]);
});

test("removeCgroup leaves a cgroup that was made anew since, and one that another sandbox has by now", {
  skip,
}, async () => {
  const { path, folders } = fresh();
  const record = await claimed(path);
  for (const folder of folders) rmdirSync(folder);
  for (const folder of folders) mkdirSync(folder);
  const stranger = await sleeper(...folders);
  await removeCgroup(record, true);
  assert.ok(lives(stranger) && folders.every(existsSync));

  const { path: shared, folders: taken } = fresh();
  const former = await claimed(shared);
  const owner = OwnCgroup.claim(shared, () => {}, mounts);
  const member = await sleeper(...taken);
  await removeCgroup(former, true);
  assert.ok(lives(member) && taken.every(existsSync));
  await owner.discard(2000);
  assert.ok(!lives(member));
});

test("removeCgroup waits for a daemon that was killed to let go of its lock", { skip }, async () => {
  const { path, folders } = fresh();
  const record = await claimed(path);
  const member = await sleeper(...folders);
  const lock = openSync(folders[0] ?? "", "r");
  assert.ok(flock(lock, constants.LOCK_EX | constants.LOCK_NB));
  setTimeout(() => closeSync(lock), 100);
  await removeCgroup(record, true);
  assert.ok(!lives(member) && !folders.some(existsSync));
});

test("removeCgroup removes what was only about to be made, if it is empty", { skip }, async () => {
  const { folders } = fresh();
  const record = folders.map((folder) => ({ path: folder, made: true }));
  await removeCgroup(record, false);
  for (const folder of folders) mkdirSync(folder);
  await removeCgroup(record, false);
  assert.ok(!folders.some(existsSync));
  for (const folder of folders) mkdirSync(folder);
  const stranger = await sleeper(...folders);
  await removeCgroup(record, false);
  assert.ok(lives(stranger) && folders.every(existsSync));
});

test("removeCgroup ends a process of ours that a freezer holds, and nobody else goes on", {
  skip: noFreezer,
}, async () => {
  const { path, folders } = fresh();
  const record = await claimed(path);
  const cold = join(freezer?.directory ?? "", fresh().path);
  mkdirSync(cold);
  const own = await sleeper(...folders, cold);
  const other = await sleeper(cold);
  writeFileSync(join(cold, "freezer.state"), "FROZEN");
  while (readFileSync(join(cold, "freezer.state"), "utf8") !== "FROZEN\n") await delay(5);
  await removeCgroup(record.slice(0, 1), true);
  assert.ok(!lives(own));
  assert.equal(readFileSync(join(cold, "freezer.state"), "utf8"), "FROZEN\n");
  writeFileSync(join(cold, "freezer.state"), "THAWED");
  assert.ok(lives(other));
});
