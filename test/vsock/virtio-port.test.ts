import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { runInOuterVm } from "./outer-vm.ts";

const MIB = 1024 * 1024;
const CONNECTIONS = 3;
const IDLE_MS = 2000;

async function connectTo(path: string): Promise<Socket> {
  const socket = connect(path);
  await once(socket, "connect");
  return socket;
}

/** Reads `length` bytes and their hash. */
async function receive(socket: Socket, length: number): Promise<string> {
  const hash = createHash("sha256");
  let missing = length;
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    const data = chunk as Buffer;
    assert.ok(data.length <= missing, "more came back than was sent");
    hash.update(data);
    missing -= data.length;
    if (missing === 0) break;
  }
  assert.equal(missing, 0, "the connection ended early");
  return hash.digest("hex");
}

test("PollStream serves a virtio-serial port, connection after connection, idle in between", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "caisson-port-"));
  try {
    const path = join(folder, "port");
    const vm = runInOuterVm(
      `modprobe virtio_console && node_modules/.bin/node test/vsock/inside/port-echo.ts test.port ${CONNECTIONS}`,
      {
        name: "virtio-port",
        timeoutMs: 300_000,
        devices: [
          ...["-device", "virtio-serial-pci", "-chardev", `socket,id=port,path=${path},server=on,wait=off`],
          ...["-device", "virtserialport,chardev=port,name=test.port"],
        ],
      },
    );
    vm.catch(() => {});
    while (!existsSync(path)) await Promise.race([delay(50), vm]);
    const body = randomBytes(16 * MIB);
    const expected = createHash("sha256").update(body).digest("hex");
    for (let i = 0; i < CONNECTIONS; i++) {
      const socket = await connectTo(path);
      await receive(socket, "ready\n".length);
      const started = performance.now();
      const received = receive(socket, body.length);
      socket.write(body);
      assert.equal(await received, expected);
      t.diagnostic(`16 MiB there and back: ${Math.round(performance.now() - started)} ms`);
      socket.destroy();
      await delay(IDLE_MS);
    }
    const { exitStatus, output } = await vm;
    assert.equal(exitStatus, 0, output);
    const reports = output
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { waitedMs: number; cpuMs: number; bytes: number });
    assert.deepEqual(
      reports.map(({ bytes }) => bytes),
      new Array(CONNECTIONS).fill(body.length),
    );
    for (const { cpuMs } of reports.slice(1))
      assert.ok(cpuMs < IDLE_MS / 10, `waiting ${IDLE_MS} ms for the host took ${cpuMs} ms of CPU`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
