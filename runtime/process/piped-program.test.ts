import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { startPiped } from "./piped-program.ts";

const PATH = "/bin/sh";
const sh = (script: string, directory = "/tmp") => startPiped(["shell", "-c", script], { path: PATH, directory });

test("startPiped() gives a program its words, streams and directory, and nothing of our environment", async () => {
  const program = sh('echo "$0 $(pwd) $HOME"; cat; echo error >&2; exit 3');
  program.stdin.end("input");
  assert.equal(await text(program.stdout), "shell /tmp \ninput");
  assert.equal(await text(program.stderr), "error\n");
  assert.deepEqual(await program.ended, { exitCode: 3 });
  program.kill();
});

test("startPiped()'s directory is / where it is not there", async () => {
  assert.equal(await text(sh("pwd", "/no/such/folder").stdout), "/\n");
});

test("startPiped()'s program has ended while others have its output, and its signal is told", async () => {
  const program = sh("sleep 10 & echo $!; kill -TERM $$");
  const { promise, resolve } = Promise.withResolvers<string>();
  program.stdout.setEncoding("utf8").once("data", resolve);
  assert.deepEqual(await program.ended, { signal: 15 });
  process.kill(Number(await promise));
});

test("startPiped()'s program is waited for when nothing else keeps this process from ending", () => {
  const script = `
    import { startPiped } from ${JSON.stringify(join(import.meta.dirname, "piped-program.ts"))};
    const program = startPiped(["/bin/sh", "-c", "exec <&- >&- 2>&-; sleep 0.1; exit 7"], {});
    for (const stream of [program.stdin, program.stdout, program.stderr]) stream.destroy();
    process.exitCode = (await program.ended).exitCode;`;
  const { status } = spawnSync(process.execPath, ["--input-type=module", "--eval", script]);
  assert.equal(status, 7);
});

test("startPiped()'s program can be killed", async () => {
  const program = sh("exec sleep 100");
  program.kill();
  assert.deepEqual(await program.ended, { signal: 9 });
});

test("startPiped() throws the system's error for what cannot be run", () => {
  assert.throws(() => startPiped(["/no/such/program"], {}), { code: "ENOENT" });
});
