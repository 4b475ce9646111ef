/** The sandbox's cgroup on the host: it is ours if we made it, or took it when it was empty; what is others' lives on. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { cgroupMounts } from "../../runtime/cgroup/cgroup.ts";
import { Bundle } from "../harness/bundle.ts";
import { detached, errorOf, Host, until } from "../harness/host.ts";

const host = new Host();
const other = new Host();
const sleepers: ChildProcess[] = [];
after(async () => {
  await host[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});
afterEach(() => {
  for (const child of sleepers.splice(0)) child.kill("SIGKILL");
});

const mounts = cgroupMounts();
const folders = (path: string) => mounts.map(({ directory }) => join(directory, path));
const text = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : "");

/** Somebody else's process. */
async function sleeper(...cgroups: string[]): Promise<number> {
  const child = spawn("sleep", ["1000"], { stdio: "ignore" });
  sleepers.push(child);
  await new Promise((resolve) => child.once("spawn", resolve));
  for (const folder of cgroups) writeFileSync(join(folder, "cgroup.procs"), String(child.pid));
  return child.pid ?? 0;
}

const lives = (pid: number) => / [^ZX] /.test(/\) .* /.exec(text(`/proc/${pid}/stat`))?.[0] ?? "");

function bundleIn(path: string, args?: string[]): Bundle {
  const bundle = new Bundle(args);
  bundle.spec.linux = { ...bundle.spec.linux, cgroupsPath: path };
  return bundle.write();
}

async function removed(paths: readonly string[]): Promise<void> {
  await until(() => {
    for (const path of paths) {
      try {
        rmdirSync(path);
      } catch {
        // What was in it is on its way out.
      }
    }
    return !paths.some(existsSync);
  });
}

test("a cgroup with processes is refused, and they live on; one that is frozen as well, at once", async () => {
  const id = host.id();
  const path = `/caisson/${id}`;
  using bundle = bundleIn(path, ["true"]);
  for (const { kind, directory } of mounts.slice(0, 2)) {
    const folder = join(directory, path);
    mkdirSync(folder, { recursive: true });
    if (kind.split(",").includes("cpuset")) continue;
    const pid = await sleeper(folder);
    for (const verb of ["run", "create"]) {
      const refused = await host.run([verb, "-b", bundle.directory, id]);
      assert.equal(refused.exitCode, 1);
      assert.match(
        errorOf(refused),
        new RegExp(`^the cgroup ${path} cannot be used: it has processes already \\(pid ${pid} in`),
      );
      assert.ok(lives(pid));
    }
    assert.equal((await host.run(["state", id])).exitCode, 1);
    assert.deepEqual(folders(path).filter(existsSync), [folder]);
    for (const child of sleepers.splice(0)) child.kill("SIGKILL");
    await removed([folder]);
  }
  const freezer = mounts.find(({ kind }) => kind === "v2" || kind.split(",").includes("freezer"));
  if (freezer === undefined) return;
  const [file, on] = freezer.kind === "v2" ? ["cgroup.freeze", "1"] : ["freezer.state", "FROZEN"];
  const folder = join(freezer.directory, path);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, file), on);
  const frozen = await host.run(["run", "-b", bundle.directory, id], { limitMs: 10_000 });
  assert.match(errorOf(frozen), /it is frozen/);
  await removed([folder]);
  assert.deepEqual(await host.remains(), []);
});

test("the host's cgroup has the container's weight and CPUs, which update changes or the host refuses", async () => {
  const id = host.id();
  using bundle = bundleIn(`/caisson/${id}`);
  bundle.spec.linux = { ...bundle.spec.linux, resources: { cpu: { shares: 512, cpus: "0" } } };
  bundle.write();
  const refused = { ...bundle.spec, linux: { ...bundle.spec.linux, resources: { cpu: { cpus: "4000" } } } };
  const found = (...names: string[]) =>
    folders(`/caisson/${id}`).flatMap((folder) => names.map((name) => text(join(folder, name)).trim()).filter(Boolean));
  await detached(host, ["run", "--detach", "--bundle", bundle.directory, id]);
  // 512 shares are a weight of 59. A hierarchy of v2 may be without the controllers.
  assert.match(found("cpu.shares", "cpu.weight").join(), /^(512|59)?$/);
  assert.match(found("cpuset.cpus").join(), /^0?$/);
  await host.ok(["update", "--cpu-share", "1024", "--pids-limit", "1000", id]);
  assert.match(found("cpu.shares", "cpu.weight").join(), /^(1024|100)?$/);
  assert.match(found("pids.max").join(), /^(1000)?$/);
  // Fewer would keep the VM from starting a thread.
  await host.ok(["update", "--pids-limit", "7", id]);
  assert.match(found("pids.max").join(), /^(512)?$/);
  assert.equal(await host.ok(["exec", id, "cat", "/sys/fs/cgroup/pids.max"]), "7\n");
  if (found("cpuset.cpus").length > 0) {
    assert.match(
      errorOf(await host.run(["update", "--cpuset-cpus", "4000", id])),
      /^linux\.resources\.cpu\.cpus could not be set: the host refuses "4000"/,
    );
    await host.ok(["delete", "--force", id]);
    const created = await host.run(["run", "--bundle", bundle.write(JSON.stringify(refused)).directory, id]);
    assert.match(errorOf(created), /linux\.resources\.cpu\.cpus could not be set/);
    assert.deepEqual(await host.remains(), []);
  }
  await host.clear();
});

test("delete --force ends what is the container's, and removes empty cgroups below its own, and no others", async () => {
  const id = host.id();
  const path = `/caisson/${id}`;
  using bundle = bundleIn(path);
  bundle.spec.hooks = { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", "sleep 1000 >/dev/null 2>&1 &"] }] };
  bundle.write();
  await detached(host, ["create", "-b", bundle.directory, id]);
  const [folder = ""] = folders(path);
  assert.ok(text(join(folder, "cgroup.procs")).split("\n").length > 3, "daemon, QEMU, and what the hook has left");
  const child = join(folder, "others");
  mkdirSync(child);
  for (const each of folders(path)) mkdirSync(join(each, "empty", "below"), { recursive: true });
  const pid = await sleeper(child);
  const refused = await host.run(["delete", "--force", id]);
  assert.equal(refused.exitCode, 1);
  assert.match(errorOf(refused), new RegExp(`in use by process ${pid}, which is not the container's`));
  assert.ok(lives(pid));
  assert.deepEqual(text(join(folder, "cgroup.procs")), "");
  assert.deepEqual(folders(path).filter(existsSync), [folder]);
  for (const each of sleepers.splice(0)) each.kill("SIGKILL");
  await until(() => text(join(child, "cgroup.procs")) === "");
  await host.ok(["delete", "--force", id]);
  assert.deepEqual(await host.remains(), []);
});

test("a cgroup that another container has is refused; delete of its former owner leaves it alone", async () => {
  const [first, second] = [host.id(), host.id()];
  const path = `/caisson/${first}`;
  using bundle = bundleIn(path);
  using another = bundleIn(path);
  await detached(host, ["run", "-d", "-b", bundle.directory, first]);
  const { pid } = JSON.parse(await host.ok(["state", first])) as { pid: number };
  const refused = await other.run(["run", "-d", "-b", another.directory, second]);
  assert.match(errorOf(refused), /it has processes already/);
  process.kill(pid, "SIGKILL");
  await until(() => folders(path).every((folder) => text(join(folder, "cgroup.procs")) === ""));
  await detached(other, ["run", "-d", "-b", another.directory, second]);
  await host.ok(["delete", first]);
  assert.equal(await other.status(second), "running");
  await other.ok(["delete", "-f", second]);
  assert.deepEqual(await host.remains(), []);
});
