/** scripts/forget.sh, in a mount namespace whose /run, /dev/shm and cgroups are empty. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const TOP = join(import.meta.dirname, "../..");
const LIMIT_MS = 60_000;
const EMPTY = 'for each in /run /dev/shm /sys/fs/cgroup; do mount -t tmpfs none "$each"; done; exec "$@"';

/** What a module prints that is run there. */
function runAway(source: string): string {
  const words = ["--mount", "sh", "-euc", EMPTY, "sh", process.execPath, "--input-type=module", "--eval", source];
  return execFileSync("unshare", words, { cwd: TOP, encoding: "utf8", timeout: LIMIT_MS });
}

test("forget leaves the users that running VMs have, and removes their list with the last", {
  skip: process.getuid?.() !== 0 && "needs root",
}, () => {
  const printed = runAway(`
    import { execFileSync } from "node:child_process";
    import { existsSync, mkdirSync } from "node:fs";
    import { takeUid } from "./runtime/vm/jail/uids.ts";
    const forget = () => execFileSync("scripts/forget.sh", ["/none"]);
    const left = () => ["/run/caisson", "/run/caisson-vm", "/dev/shm/caisson-vm"].filter((path) => existsSync(path));
    mkdirSync("/run/caisson");
    mkdirSync("/dev/shm/caisson-vm/templates", { recursive: true });
    const user = takeUid({ first: 1_000_000, count: 2 });
    forget();
    console.log(left().join());
    user.release();
    forget();
    console.log(left().join());
  `);
  assert.equal(printed, "/run/caisson-vm\n\n");
});

test("forget takes the installation's snapshots, below whatever root directory, and leaves those of others", {
  skip: process.getuid?.() !== 0 && "needs root",
}, () => {
  const printed = runAway(`
    import { execFileSync } from "node:child_process";
    import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
    import { join } from "node:path";
    import { FAILED, snapshotName } from "./runtime/process/snapshot.ts";
    const home = "/run/home";
    const script = join(home, "out/caisson.cjs");
    mkdirSync(join(home, "out"), { recursive: true });
    writeFileSync(script, "");
    const folder = "/dev/shm/caisson-vm/snapshots";
    mkdirSync(folder, { recursive: true });
    const name = snapshotName(script);
    const others = ["7" + name, name.replace(/-.*/, "-1-2-3-4-5"), ".99"];
    const below = name.replace(/-[0-9]+$/, "-9");
    for (const each of [name, name + FAILED, below, ...others]) writeFileSync(join(folder, each), "");
    const forget = () => execFileSync("scripts/forget.sh", [home]);
    forget();
    console.log(readdirSync(folder).sort().join() === others.sort().join());
    for (const each of others.filter((each) => each !== ".99")) rmSync(join(folder, each));
    forget();
    console.log(existsSync(folder));
  `);
  assert.equal(printed, "true\nfalse\n");
});
