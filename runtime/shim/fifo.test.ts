import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { openFifoInput, openFifoOutput } from "./fifo.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-fifo-"));
after(() => rmSync(folder, { recursive: true }));
let serial = 0;

function fifo(): string {
  const path = join(folder, String(serial++));
  execFileSync("mkfifo", [path]);
  return path;
}

// The first stream opens what all have in common.
await once(openFifoInput(fifo()).stream.destroy(), "close");

async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 30_000; !holds(); await delay(5)) {
    assert.ok(performance.now() < end, `it never came to hold: ${holds}`);
  }
}

const openFds = () => readdirSync("/proc/self/fd").length;
const NONBLOCK = constants.O_NONBLOCK;

test("openFifoInput outlives its writers and ends only when it is let", async () => {
  const path = fifo();
  const before = openFds();
  const { stream, letEnd } = openFifoInput(path);
  const chunks: string[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk.toString()));
  for (const word of ["first", "second"]) {
    const writer = openSync(path, constants.O_WRONLY);
    writeSync(writer, word);
    closeSync(writer);
    await until(() => chunks.at(-1) === word);
    await delay(30);
    assert.equal(stream.readableEnded, false);
  }
  const last = openSync(path, constants.O_WRONLY);
  letEnd();
  await delay(30);
  assert.equal(stream.readableEnded, false);
  writeSync(last, "third");
  closeSync(last);
  await once(stream, "close");
  assert.deepEqual(chunks, ["first", "second", "third"]);
  await until(() => openFds() === before);
});

test("openFifoOutput waits for a reader, and survives that it goes and another comes", async () => {
  const path = fifo();
  const before = openFds();
  const opening = openFifoOutput(path);
  let opened = false;
  opening.then(() => {
    opened = true;
  });
  await delay(40);
  assert.equal(opened, false);
  const first = openSync(path, constants.O_RDONLY | NONBLOCK);
  const stream = await opening;
  stream.write("for the first;");
  await delay(20);
  closeSync(first);
  stream.write("for the second");
  await delay(20);
  const second = openSync(path, constants.O_RDONLY | NONBLOCK);
  let text = "";
  await until(() => {
    const buffer = Buffer.alloc(100);
    try {
      text += buffer.toString("utf8", 0, readSync(second, buffer));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, "EAGAIN");
    }
    return text.length >= 28;
  });
  assert.equal(text, "for the first;for the second");
  stream.end();
  await once(stream, "close");
  assert.equal(readFileSync(second).length, 0);
  closeSync(second);
  await until(() => openFds() === before);
});

test("openFifoOutput stops waiting when it is aborted", async () => {
  const path = fifo();
  const abort = new AbortController();
  const opening = openFifoOutput(path, abort.signal);
  const reason = new Error("whoever wanted it has gone");
  abort.abort(reason);
  await assert.rejects(opening, reason);
});

test("openFifoInput and openFifoOutput name what is not there", async () => {
  const path = join(folder, "none");
  assert.throws(() => openFifoInput(path), { code: "CAISSON_E_STORAGE", message: /none/ });
  await assert.rejects(openFifoOutput(path), { code: "CAISSON_E_STORAGE", message: /none/ });
});
