import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Bundle } from "../harness/bundle.ts";
import { Host, PROGRAM, until } from "../harness/host.ts";

/** What goes each way: little, since an emulated guest on a busy host is slow. Where there is KVM, set CAISSON_STDIO_MIB=1024. */
const MEBIBYTES = Number(process.env["CAISSON_STDIO_MIB"] ?? 16);
const MIB = 1024 * 1024;
const DAEMON_LIMIT_MIB = 150;
/** Longer than a busy machine holds anything up. */
const QUIET_MS = 60_000;

const host = new Host();
after(() => host[Symbol.asyncDispose]());

/** Pseudo-random mebibytes, the same each time, with their digest. */
function* mebibytes(count: number): Generator<Buffer> {
  let state = 0x2545f491;
  for (let index = 0; index < count; index++) {
    const words = new Uint32Array(MIB / 4);
    for (let at = 0; at < words.length; at++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[at] = state;
    }
    yield Buffer.from(words.buffer);
  }
}

function digestOf(count: number): string {
  const hash = createHash("sha256");
  for (const part of mebibytes(count)) hash.update(part);
  return hash.digest("hex");
}

/** The most memory that a process ever had resident (proc(5), VmHWM), MiB. */
function peakMib(pid: number): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) / 1024;
}

/** Waits until that many bytes have arrived, or no more do. */
async function arrives(received: () => number, wanted: number): Promise<void> {
  let before = -1;
  for (let end = 0; received() < wanted && (received() !== before || performance.now() < end); await delay(100)) {
    if (received() === before) continue;
    before = received();
    end = performance.now() + QUIET_MS;
  }
}

/** Runs a program that writes without end, reads a part, and leaves. */
async function statusOfUnreadWriter(id: string): Promise<number | null> {
  const writer = host.spawn(["exec", id, "yes"]);
  let received = 0;
  writer.stdout?.on("data", (chunk: Buffer) => {
    received += chunk.length;
    if (received > 2 * MIB) writer.stdout?.destroy();
  });
  const [status] = (await once(writer, "exit")) as [number | null];
  return status;
}

test(`${MEBIBYTES} MiB through stdin and stdout at once arrive whole, and the daemon stays small`, async () => {
  using bundle = new Bundle(["sh", "-c", "cat; exec sleep 1000"]);
  const id = host.id();
  const child = host.spawn(["run", "-b", bundle.directory, id]);
  const hash = createHash("sha256");
  let received = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    received += chunk.length;
    hash.update(chunk);
  });
  assert.ok(child.stdin);
  await pipeline(Readable.from(mebibytes(MEBIBYTES), { objectMode: false }), child.stdin);
  await arrives(() => received, MEBIBYTES * MIB);
  assert.equal(received, MEBIBYTES * MIB);
  assert.equal(hash.digest("hex"), digestOf(MEBIBYTES));
  const { pid } = JSON.parse(await host.ok(["state", id])) as { pid: number };
  const peak = peakMib(pid);
  assert.ok(peak < DAEMON_LIMIT_MIB, `the daemon had ${peak.toFixed(0)} MiB`);
  // More readers leave than there are ports; the next stream begins with its own first byte.
  for (let reader = 0; reader < 3; reader++) assert.equal(await statusOfUnreadWriter(id), 141);
  const late = host.spawn(["exec", id, "head", "-c", String(2 * MIB), "/dev/zero"]);
  let zeros = 0;
  late.stdout?.on("data", (chunk: Buffer) => {
    zeros += chunk.every((byte) => byte === 0) ? chunk.length : 0;
  });
  await once(late, "close");
  assert.equal(zeros, 2 * MIB);
  await host.ok(["kill", id, "KILL"]);
  await until(() => host.leftovers().length === 0);
});

// Pipes, a port's ring, sockets and what a call has in flight are between the two: they have held 8 MiB on a busy machine.
test("a reader that does not read stops the writer, and nothing in between grows", async () => {
  using bundle = new Bundle(["sh", "-c", "yes | head -c 16777216; echo done >&2; exec sleep 1000"]);
  const id = host.id();
  const child = host.spawn(["run", "-b", bundle.directory, id]);
  const errors: string[] = [];
  child.stderr?.on("data", (text: Buffer) => errors.push(text.toString()));
  child.stdout?.pause();
  await until(async () => (await host.run(["state", id])).stdout.includes('"running"'));
  await delay(5000);
  assert.deepEqual(errors, []);
  const { pid } = JSON.parse(await host.ok(["state", id])) as { pid: number };
  assert.ok(peakMib(pid) < DAEMON_LIMIT_MIB);
  let received = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    received += chunk.length;
  });
  child.stdout?.resume();
  await arrives(() => received, 16777216);
  assert.equal(received, 16777216);
  await until(() => errors.join("") === "done\n");
  await host.ok(["kill", id, "KILL"]);
  await until(() => host.leftovers().length === 0);
});

test("output that a file cannot take is told as lost", async () => {
  using bundle = new Bundle(["echo", "lost"]);
  const id = host.id();
  const run = [PROGRAM, "--root", host.root, "run", "-b", bundle.directory, id];
  const { stderr, status } = spawnSync("sh", ["-c", 'exec "$@" >/dev/full', "sh", ...run], { encoding: "utf8" });
  assert.equal(status, 0);
  assert.match(stderr, new RegExp(`the stdout of container ${id} is cut off: .*no space left on device \\(ENOSPC\\)`));
});
