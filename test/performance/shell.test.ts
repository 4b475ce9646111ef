import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { Shell } from "./shell.ts";

/** A shell of this host in a guest's place. */
async function withShell(use: (shell: Shell) => Promise<void>): Promise<void> {
  const child = spawn("sh", [], { stdio: ["pipe", "pipe", "ignore"] });
  try {
    await use(new Shell(child.stdin, child.stdout, new AbortController().signal));
  } finally {
    child.kill("SIGKILL");
  }
}

test("Shell.send and Shell.receive carry bytes of all kinds, and take no longer than it took", async () => {
  const data = randomBytes(3_000_001);
  await withShell(async (shell) => {
    const start = performance.now();
    const sent = await shell.send(`head -c ${data.length} >/tmp/caisson-shell-$$`, data);
    const back = await shell.receive("cat /tmp/caisson-shell-$$; rm /tmp/caisson-shell-$$", data.length);
    assert.ok(Buffer.concat(back.data).equals(data));
    assert.ok(sent > 0 && back.seconds > 0 && sent + back.seconds <= (performance.now() - start) / 1000);
    await shell.run("true");
  });
});

test("Shell.run tells of a command that failed", async () => {
  await withShell(async (shell) => {
    await assert.rejects(shell.run("(exit 3)"), /"\(exit 3\)" in the guest: status 3/);
    await shell.run("true");
  });
});

test("Shell tells of a shell that ended", async () => {
  await withShell(async (shell) => {
    await assert.rejects(shell.run("exit"), /The guest's shell ended/);
  });
});

test("Shell takes answers apart however they come", async () => {
  const output = new PassThrough();
  const shell = new Shell(new PassThrough().resume(), output, new AbortController().signal);
  const greeting = shell.greeting();
  for (const byte of "hello\nAB") output.write(byte);
  assert.equal(await greeting, "hello");
  const received = shell.receive("printf ABC", 3);
  output.write("Cstat");
  output.write("us 0\n");
  assert.equal(Buffer.concat((await received).data).toString(), "ABC");
});

test("Shell stops waiting when its signal aborts", async () => {
  const abort = new AbortController();
  const shell = new Shell(new PassThrough().resume(), new PassThrough(), abort.signal);
  const run = shell.run("true");
  abort.abort(new Error("enough"));
  await assert.rejects(run, /enough/);
});
