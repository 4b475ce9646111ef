/**
 * What must hold because sandboxes are clones of one memory image. CAISSON_CLONES=full makes as many of them as
 * docs/specification.md promises to survive; by default there are fewer, for the sake of time.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Bundle } from "../harness/bundle.ts";
import { collect, detached, Host, until } from "../harness/host.ts";

const FULL = process.env["CAISSON_CLONES"] === "full";
const IN_A_ROW = FULL ? 200 : 10;
const AT_ONCE = FULL ? 20 : 8;
const ROUNDS = FULL ? 3 : 1;
const CLOCK_TOLERANCE_MS = 50;
const CLOCKS = 8;
const OUT = join(import.meta.dirname, "../../out/image");

const host = new Host();
/** Templates and images of its own, on the tmpfs where templates are kept. */
const folder = mkdtempSync("/dev/shm/caisson-test-");
const templates = join(folder, "templates");
const image = join(folder, "root.erofs");
const settings = join(folder, "config.toml");
const caisson = (...args: string[]) => host.ok(["--config", settings, ...args]);

before(async () => {
  copyFileSync(join(OUT, "root.erofs"), image);
  writeFileSync(
    settings,
    `template_dir = "${templates}"\nimage = "${image}"\nmemory_mib = 256\nboot_timeout_seconds = 100\nfork_server = "off"\n`,
  );
  await caisson("template", "build");
});
after(async () => {
  await host[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function keys(): string[] {
  return readdirSync(templates).filter((name) => /^[0-9a-f]{32}$/.test(name));
}

/** The checksum of every file of every template; the time of last use is not in them. */
function checksum(): string {
  const hash = createHash("sha256");
  for (const key of keys().sort()) {
    for (const name of readdirSync(join(templates, key)).sort()) hash.update(readFileSync(join(templates, key, name)));
  }
  return hash.digest("hex");
}

async function says(bundle: Bundle, expected: RegExp): Promise<string> {
  const output = await caisson("run", "-b", bundle.directory, host.id());
  assert.match(output, expected);
  return output;
}

test(`${IN_A_ROW} runs one after the other leave the template as it was, and nothing else`, async () => {
  using bundle = new Bundle(["sh", "-c", "echo $$ $(hostname)"]);
  const template = checksum();
  for (let run = 0; run < IN_A_ROW; run++) {
    await says(bundle, /^1 \S+\n$/);
    assert.deepEqual(await host.remains(), []);
  }
  assert.equal(checksum(), template);
});

test(`${AT_ONCE} runs at once, ${ROUNDS} times, leave the template as it was, and nothing else`, async () => {
  using bundle = new Bundle(["sh", "-c", "read line < /proc/sys/kernel/random/uuid; echo $line"]);
  const template = checksum();
  const seen = new Set<string>();
  for (let round = 0; round < ROUNDS; round++) {
    const lines = await Promise.all(Array.from({ length: AT_ONCE }, () => says(bundle, /^[0-9a-f-]{36}\n$/)));
    for (const line of lines) seen.add(line);
    assert.deepEqual(await host.remains(), []);
  }
  assert.equal(seen.size, AT_ONCE * ROUNDS);
  assert.equal(checksum(), template);
});

test("clones have random bytes, a boot id and a machine id of their own", async () => {
  const script =
    "head -c 32 /dev/urandom | sha256sum; head -c 32 /dev/random | sha256sum; cat /proc/sys/kernel/random/boot_id";
  using bundle = new Bundle(["sh", "-c", script]);
  const outputs = await Promise.all(
    Array.from({ length: 3 }, () => says(bundle, /^(?:[0-9a-f]{64} {2}-\n){2}[0-9a-f-]{36}\n$/)),
  );
  const lines = outputs.flatMap((output) => output.trim().split("\n"));
  assert.equal(new Set(lines).size, lines.length, outputs.join(""));
});

/** How far a new clone's clock is from the host's, milliseconds. */
async function clockError(): Promise<number> {
  using bundle = new Bundle(["sh", "-c", "while read line; do touch /dev/shm/now; stat -c %y /dev/shm/now; done"]);
  const child = host.spawn(["--config", settings, "run", "-b", bundle.directory, host.id()]);
  const ended = collect(child);
  let nearest = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 10; tries++) {
    const asked = Date.now();
    const answer = new Promise<string>((resolve) => child.stdout?.once("data", resolve));
    child.stdin?.write("now\n");
    const guest = Date.parse(
      (await answer)
        .trim()
        .replace(" ", "T")
        .replace(/(\.\d{3})\d* \+0000$/, "$1Z"),
    );
    const answered = Date.now();
    // What it read was read some time between the two.
    nearest = Math.min(nearest, Math.max(asked - guest, guest - answered, 0));
  }
  child.stdin?.end();
  assert.equal((await ended).exitCode, 0);
  return nearest;
}

test(`a clone's clock is within ${CLOCK_TOLERANCE_MS} ms of the host's`, async (t) => {
  // A busy machine may hold up what sets it.
  const errors: number[] = [];
  do errors.push(await clockError());
  while (Math.min(...errors) > CLOCK_TOLERANCE_MS && errors.length < CLOCKS);
  t.diagnostic(`off by ${errors.join(", ")} ms`);
  assert.ok(Math.min(...errors) <= CLOCK_TOLERANCE_MS, `off by ${errors.join(", ")} ms`);
});

test("clones killed at any moment harm neither the template nor another clone", async () => {
  using sleeper = new Bundle();
  using bundle = new Bundle(["echo", "whole"]);
  const template = checksum();
  const other = host.id();
  await detached(host, ["--config", settings, "run", "-d", "-b", sleeper.directory, other]);
  for (const afterMs of FULL ? [50, 100, 200, 300, 400, 500, 600, 800, 1000, 1500] : [150, 400, 800]) {
    const id = host.id();
    const child = host.spawn(["--config", settings, "run", "-b", sleeper.directory, id]);
    const ended = collect(child);
    await sleep(afterMs);
    for (const pid of qemusOf(id)) process.kill(pid, "SIGKILL");
    child.kill("SIGKILL");
    await ended;
    await until(async () => (await host.run(["delete", "--force", id])).exitCode === 0 && qemusOf(id).length === 0);
  }
  assert.equal(checksum(), template);
  assert.equal(await host.ok(["exec", other, "echo", "alive"]), "alive\n");
  await says(bundle, /^whole\n$/);
  await host.ok(["delete", "--force", other]);
});

/** The QEMUs in a container's cgroup. */
function qemusOf(id: string): number[] {
  return readdirSync("/proc").flatMap((name) => {
    try {
      const qemu = readFileSync(`/proc/${name}/comm`, "utf8").startsWith("qemu");
      return qemu && readFileSync(`/proc/${name}/cgroup`, "utf8").includes(id) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

test("clones share the pages of their template", async () => {
  using sleeper = new Bundle();
  const ids = [host.id(), host.id(), host.id()];
  for (const id of ids) await detached(host, ["--config", settings, "run", "-d", "-b", sleeper.directory, id]);
  for (const [qemu] of ids.map(qemusOf)) {
    const mappings = readFileSync(`/proc/${qemu}/smaps`, "utf8").split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
    // The file's holes are memory of the clone's own, so the rest of it is several mappings.
    const memory = mappings.filter((text) => text.includes(templates));
    const [rss, pss] = ["Rss", "Pss"].map((name) =>
      memory.reduce((sum, text) => sum + Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1]), 0),
    );
    assert.ok(rss && pss && pss < 0.8 * rss, `of ${rss} KiB of the guest's memory ${pss} KiB are its own`);
  }
  for (const id of ids) await host.ok(["delete", "--force", id]);
});

test("an image that is rebuilt while clones run: they go on, and new ones use a new template", async () => {
  using sleeper = new Bundle();
  using bundle = new Bundle(["echo", "new"]);
  const id = host.id();
  await detached(host, ["--config", settings, "run", "-d", "-b", sleeper.directory, id]);
  const old = keys();

  copyFileSync(image, `${image}.new`);
  // Behind the end of the file system, where it does no harm.
  appendFileSync(`${image}.new`, Buffer.alloc(4096));
  renameSync(`${image}.new`, image);
  await says(bundle, /^new\n$/);
  assert.equal(keys().filter((key) => !old.includes(key)).length, 1);
  // Read from the image that was there when it started.
  assert.match(await host.ok(["exec", id, "sh", "-c", "ls / | wc -l"]), /^\d+\n$/);
  await host.ok(["delete", "--force", id]);
});
