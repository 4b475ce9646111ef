/** The snapshot that verbs and daemons are restored from, of an installation of its own. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { FAILED, findSnapshot, hasFailed, snapshotFolder, snapshotName } from "../../runtime/process/snapshot.ts";
import { startChild } from "../../runtime/process/spawn-self.ts";
import { FIRST_DESCRIPTOR } from "../../runtime/snapshot/spawn.ts";
import { Bundle } from "../harness/bundle.ts";
import { Host, PROGRAM, until } from "../harness/host.ts";

const OUT = join(dirname(realpathSync(PROGRAM)), "..", "out");
const NODE = join(OUT, "node");
const FLAGS = ["--disable-sigusr1", "--single-threaded", "--v8-pool-size=1"];

const host = new Host();
after(() => host[Symbol.asyncDispose]());
const home = mkdtempSync(join(tmpdir(), "caisson-installation-"));
for (const name of readdirSync(OUT)) {
  if (name.endsWith(".cjs") || name.endsWith(".cjs.compiled")) copyFileSync(join(OUT, name), join(home, name));
}
for (const name of ["native", "image"]) symlinkSync(join(OUT, name), join(home, name));
const script = join(home, "caisson.cjs");
after(() => {
  forget();
  rmSync(home, { recursive: true });
});
const settings = join(home, "settings.toml");

function forget(): void {
  const name = snapshotName(script);
  for (const each of [name, name + FAILED]) rmSync(join(snapshotFolder(), each), { force: true });
}

/** Runs a command of that installation, as bin/caisson does. */
function caisson(
  args: readonly string[],
  { env = process.env, stdio = "pipe" }: { env?: NodeJS.ProcessEnv; stdio?: "pipe" | "ignore" } = {},
) {
  const words = [NODE, script, "caisson", "--root", host.root, "--config", settings, ...args];
  return spawnSync(join(OUT, "native", "launch"), words, { encoding: "utf8", timeout: 60_000, env, stdio });
}

/** What a process was started as. */
function commandOf(pid: number | string): string[] {
  return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
}

test("a container's start has one made, from which the next one's daemon is restored; settings take it away", async () => {
  using bundle = new Bundle(["sh", "-c", "echo $WORD; exit 3"]);
  bundle.process.env = ["PATH=/bin", "WORD=of the container"];
  bundle.write();
  writeFileSync(settings, "");
  assert.equal(findSnapshot(script), undefined);
  const run = () => {
    const { status, stdout, stderr } = caisson(["run", "-b", bundle.directory, host.id()]);
    return { status, stdout, stderr };
  };
  const expected = { status: 3, stdout: "of the container\n", stderr: "" };
  // Its maker leaves it be while another installation's is at work.
  do assert.deepEqual(run(), expected);
  while (!(await appears()));
  const snapshot = findSnapshot(script) as string;
  const { mode, uid } = statSync(snapshot);
  assert.deepEqual([mode & 0o777, uid], [0o600, process.geteuid?.()]);
  assert.deepEqual(run(), expected);

  // It keeps the streams that it is given.
  const id = host.id();
  const pidFile = join(home, "pid");
  assert.equal(caisson(["create", "-b", bundle.directory, "--pid-file", pidFile, id], { stdio: "ignore" }).status, 0);
  const pid = readFileSync(pidFile, "utf8");
  assert.equal(commandOf(pid)[0], join(home, "native", "restore"));
  assert.equal(JSON.parse(caisson(["state", id]).stdout).pid, Number(pid));
  assert.equal(caisson(["delete", "--force", id]).status, 0);

  writeFileSync(settings, 'snapshot = "off"\n');
  assert.deepEqual(run(), expected);
  await until(() => findSnapshot(script) === undefined);
});

test("a verb says and ends the same, restored or not", async () => {
  writeFileSync(settings, "");
  const verbs = [
    ["list"],
    ["--version"],
    ["state", "none"],
    ["kill", "none"],
    ["nothing"],
    ["spec", "--help"],
    ["delete", "-f", "none"],
  ];
  const say = (args: string[]) => {
    const { status, stdout, stderr } = caisson(args);
    return { status, stdout, stderr: stderr.replace(/time="[^"]*"/g, "") };
  };
  forget();
  const before = verbs.map(say);
  await make();
  assert.ok(findSnapshot(script));
  assert.deepEqual(verbs.map(say), before);
});

test("the cgroup that it is made in goes with its maker", {
  skip: process.getuid?.() !== 0 && "needs root",
}, async () => {
  forget();
  // A root of cgroups for itself: that of the host's makers is in use.
  const inside = `
    umount -R /sys/fs/cgroup
    mount -t cgroup2 none /sys/fs/cgroup
    mkdir /sys/fs/cgroup/caisson-fork-server
    echo $$ >/sys/fs/cgroup/caisson-fork-server/cgroup.procs
    exec "$@"`;
  const outside = `
    folder=$1
    shift
    mount -t cgroup2 none "$folder"
    mkdir "$folder/caisson-test-$$"
    (echo 0 >"$folder/caisson-test-$$/cgroup.procs" && exec unshare --cgroup --mount sh -euc "$@")
    rmdir "$folder/caisson-test-$$"`;
  const folder = mkdtempSync(join(tmpdir(), "caisson-cgroup-"));
  after(() => rmSync(folder, { recursive: true }));
  const maker = [NODE, ...FLAGS, script, "make-snapshot"];
  const words = ["/usr/bin/unshare", "--mount", "sh", "-euc", outside, "sh", folder, inside, "sh", ...maker];
  const environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
  const { ended } = startChild(words, "ignore", { firstDescriptor: FIRST_DESCRIPTOR, environment });
  assert.deepEqual(await ended, { exitCode: 0 });
});

test("a variable that Node.js reads at its start has it started", () => {
  const report = caisson(["--version"], { env: { ...process.env, NODE_OPTIONS: "--no-such-flag" } });
  assert.match(report.stderr, /--no-such-flag is not allowed in NODE_OPTIONS/);
});

test("what a killed maker has left goes with the next one, and what another installation has stays", async () => {
  forget();
  await make();
  const snapshot = findSnapshot(script) as string;
  const left = join(dirname(snapshot), ".999999999");
  writeFileSync(left, "half of one");
  const others = join(dirname(snapshot), "1-1-1-1-1-1");
  writeFileSync(others, "");
  after(() => rmSync(others, { force: true }));
  rmSync(snapshot);
  await make();
  assert.ok(findSnapshot(script));
  assert.ok(!readdirSync(dirname(snapshot)).includes(".999999999"));
  assert.ok(existsSync(others));
});

test("a changed program is not restored from what it was", async () => {
  await make();
  const former = snapshotName(script);
  writeFileSync(script, readFileSync(script));
  assert.notEqual(snapshotName(script), former);
  assert.equal(findSnapshot(script), undefined);
  assert.match(caisson(["--version"]).stdout, /^caisson version/);
});

test("below another root directory, with a C library of its own, it is another one, and both stay", {
  skip: process.getuid?.() !== 0 && "needs root",
}, async () => {
  await make();
  const root = `
    mount -t tmpfs none "$1"
    for each in /*; do
      if [ -L "$each" ]; then cp -P "$each" "$1"; elif [ -d "$each" ]; then mkdir "$1$each" && mount --rbind "$each" "$1$each"; fi
    done
    library=$(ldd "$3" | awk '$1 == "libc.so.6" { print $3 }')
    cp "$library" "$1/copy"
    mount --bind "$1/copy" "$1$(readlink -f "$library")"
    root=$1
    shift
    exec chroot "$root" "$@"`;
  const launch = [join(OUT, "native", "launch"), NODE, script, "caisson", "--version"];
  const folder = mkdtempSync(join(tmpdir(), "caisson-root-"));
  after(() => rmSync(folder, { recursive: true }));
  const words = ["--mount", "sh", "-euc", root, "sh", folder, ...launch];
  const { status, stdout, stderr } = spawnSync("unshare", words, { encoding: "utf8" });
  assert.match(stdout, /^caisson version/, stderr);
  assert.equal(status, 0);
  assert.ok(findSnapshot(script), "it has gone");
});

test("a trial that has no place by chance is made again", async () => {
  forget();
  const native = join(home, "native");
  const away = `${native}.away`;
  renameSync(native, away);
  mkdirSync(native);
  for (const name of readdirSync(join(OUT, "native"))) symlinkSync(join(OUT, "native", name), join(native, name));
  rmSync(join(native, "restore"));
  const first = join(home, "first");
  const wrapper = `#!/bin/sh\n[ -e ${first} ] || { : >${first}; exit 1; }\nexec "${join(OUT, "native", "restore")}" "$@"\n`;
  writeFileSync(join(native, "restore"), wrapper, { mode: 0o755 });
  await make();
  assert.ok(existsSync(first));
  assert.ok(findSnapshot(script));
  rmSync(native, { recursive: true });
  renameSync(away, native);
});

test("where what is restored does not work none is kept, none is made again, and Node.js starts", async () => {
  const native = join(home, "native");
  rmSync(native);
  mkdirSync(native);
  for (const name of readdirSync(join(OUT, "native"))) {
    symlinkSync(name === "restore" ? "/bin/false" : join(OUT, "native", name), join(native, name));
  }
  writeFileSync(script, readFileSync(script));
  const maker = () =>
    startChild([NODE, ...FLAGS, script, "make-snapshot"], "ignore", { firstDescriptor: FIRST_DESCRIPTOR }).ended;
  assert.deepEqual(await maker(), { exitCode: 1 });
  assert.equal(findSnapshot(script), undefined);
  assert.ok(hasFailed(script));
  assert.deepEqual(await maker(), { exitCode: 0 });
  assert.equal(findSnapshot(script), undefined);
  assert.match(caisson(["--version"]).stdout, /^caisson version/);
});

/** Whether it is made soon, on a busy machine. */
async function appears(): Promise<boolean> {
  const end = performance.now() + 4000;
  while (findSnapshot(script) === undefined && performance.now() < end) await sleep(50);
  return findSnapshot(script) !== undefined;
}

/** As the program does it; a maker leaves it be while another installation's is at work. */
async function make(): Promise<void> {
  do {
    const words = [NODE, ...FLAGS, script, "make-snapshot"];
    const maker = startChild(words, "ignore", { firstDescriptor: FIRST_DESCRIPTOR });
    assert.deepEqual(await maker.ended, { exitCode: 0 });
  } while (findSnapshot(script) === undefined);
}
