/** VMs that grow while they run, and give back what they no longer need. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { detached, Host, until } from "../harness/host.ts";
import { companionsOf, pss } from "../performance/process.ts";

const host = new Host();
const bundle = new Bundle();
const folder = mkdtempSync(join(tmpdir(), "caisson-growth-"));
const settings = join(folder, "settings.toml");
/** What is not reported as free is a part of it only: the kernel's own, and pieces that are too small. */
const GIVEN_BACK_MIB = 300;
let id: string;

before(async () => {
  writeFileSync(settings, "default_memory_mib = 256\nmax_vcpus = 2\nboot_timeout_seconds = 300\n");
  id = host.id();
  await detached(host, ["--config", settings, "run", "--detach", "--bundle", bundle.directory, id]);
});
after(async () => {
  bundle[Symbol.dispose]();
  rmSync(folder, { recursive: true });
  await host[Symbol.asyncDispose]();
});

const inside = async (...words: string[]) => (await host.ok(["exec", id, ...words])).trim();

/** MiB, as free(1) says it in the container. */
async function total(): Promise<number> {
  return Number(/^Mem: +(\d+)/m.exec(await inside("free", "-m"))?.[1]);
}

/** Has a program use so much memory, and end. */
async function use(mib: number): Promise<void> {
  await inside("dd", "if=/dev/zero", "of=/dev/null", `bs=${mib}M`, "count=1");
}

test("update --memory beyond what the VM was started with makes it grow, and free(1) says so", async () => {
  assert.ok((await total()) < 256);
  await host.ok(["update", "--memory", "512m", id]);
  assert.equal(await inside("cat", "/sys/fs/cgroup/memory.max"), String(512 * 2 ** 20));
  assert.ok((await total()) >= 512, `${await total()} MiB`);
  await use(450);
  await host.ok(["update", "--memory", "64m", id]);
  await host.ok(["update", "--memory", "-1", id]);
});

test("a container without a limit has more than its VM was started with, and what it no longer needs is the host's again", async () => {
  const qemu = async () => {
    const { pid } = JSON.parse(await host.ok(["state", id])) as { pid: number };
    return Math.max(...companionsOf(pid).map(pss));
  };
  await use(1000);
  const most = await qemu();
  assert.ok((await total()) > 1000, `${await total()} MiB`);
  assert.ok(most > 900, `${most} MiB`);
  await until(async () => (await qemu()) < most - GIVEN_BACK_MIB);
});

test("update --cpu-quota beyond the VM's CPUs puts more of them online", {
  skip: availableParallelism() < 2 && "the host has one CPU",
}, async () => {
  assert.equal(await inside("nproc"), "1");
  await host.ok(["update", "--cpu-quota", "200000", "--cpu-period", "100000", id]);
  assert.equal(await inside("nproc"), "2");
  assert.equal(await inside("cat", "/sys/fs/cgroup/cpu.max"), "200000 100000");
});
