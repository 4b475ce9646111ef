import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, writeSync } from "node:fs";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { makeRaw, openpty } from "../posix/index.ts";
import { PollStream } from "./index.ts";

test("PollStream over a terminal ends when the slave is closed, after all it wrote", async () => {
  const { master, slave } = openpty();
  makeRaw(slave);
  const terminal = new PollStream({ fd: master });
  const output = buffer(terminal);
  const child = spawnSync("sh", ["-c", "seq 1 20000"], { stdio: ["ignore", "pipe", "ignore"] });
  const program = new PollStream({ fd: slave });
  program.end(child.stdout);
  await once(program, "finish");
  program.destroy();
  assert.equal(String(await output), String(child.stdout));
});

test("PollStream over a terminal writes many small chunks to a character device, whole and in order", async () => {
  const { master, slave } = openpty();
  makeRaw(slave);
  const terminal = new PollStream({ fd: master });
  const program = new PollStream({ fd: slave });
  const lines = Array.from({ length: 5000 }, (_, i) => `line ${i}\n`);
  terminal.cork();
  for (const line of lines) terminal.write(line);
  terminal.write(Buffer.alloc(100_000, "x"));
  process.nextTick(() => terminal.uncork());
  const expected = `${lines.join("")}${"x".repeat(100_000)}`;
  let received = "";
  for await (const chunk of program) {
    received += String(chunk);
    if (received.length >= expected.length) break;
  }
  assert.equal(received, expected);
  terminal.destroy();
});

test("PollStream over a terminal passes over what ends a file for its reader, until it is hung up", async () => {
  const { master, slave } = openpty();
  const program = new PollStream({ fd: slave });
  let received = "";
  program.setEncoding("utf8").on("data", (text: string) => {
    received += text;
  });
  writeSync(master, "\x04\x04ahead\ntwo\x04three\n\x04");
  await delay(50);
  writeSync(master, "\x04later\n");
  await delay(50);
  assert.deepEqual([received, program.destroyed], ["ahead\ntwothree\nlater\n", false]);
  closeSync(master);
  await once(program, "close");
});

test("PollStream over a terminal that returns at once does not read it without end", async () => {
  const { master, slave } = openpty();
  spawnSync("stty", ["raw", "-echo", "min", "0", "time", "0"], { stdio: [slave, "ignore", "inherit"] });
  const program = new PollStream({ fd: slave });
  const first = once(program, "data");
  const { user } = process.cpuUsage();
  await delay(100);
  assert.ok(process.cpuUsage().user - user < 50_000);
  writeSync(master, "x");
  assert.equal(String((await first)[0]), "x");
  closeSync(master);
  await once(program, "close");
});
