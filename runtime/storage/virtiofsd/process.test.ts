import assert from "node:assert/strict";
import { closeSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { isRunning } from "../../../test/harness/qemu.ts";
import { startVirtiofsd } from "./process.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-virtiofsd-"));
after(() => rmSync(folder, { recursive: true }));

function fake(script: string) {
  const path = join(folder, "virtiofsd");
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { path, flavour: "c", version: "0" } as const;
}

test("startVirtiofsd gives it a socket that listens, no environment of ours and no folder", async () => {
  const script =
    "[ -S /proc/self/fd/3 ] && echo socket; env | grep -vE '^(PWD|OLDPWD|SHLVL|_|LD_PRELOAD)='; pwd; exit 3";
  const server = startVirtiofsd(fake(`{ ${script}; } >&2`), "/share");
  assert.equal(await server.ended, "exited with status 3; it said: socket /");
  closeSync(server.connection);
});

test("startVirtiofsd tells who is killed, with what it has forked", async () => {
  const server = startVirtiofsd(fake("sleep 100 & wait"), join(folder, "share"));
  while (server.pids().length < 2) await new Promise(setImmediate);
  const pids = server.pids();
  await server.kill();
  await server.kill();
  assert.equal(await server.ended, "was killed by SIGKILL");
  // The processes have closed all they had; the kernel takes a moment more.
  while (pids.some(isRunning)) await new Promise(setImmediate);
  closeSync(server.connection);
});

test("startVirtiofsd that cannot run it leaves nothing", () => {
  const before = readdirSync("/proc/self/fd").length;
  assert.throws(() => startVirtiofsd({ path: "/nonexistent", flavour: "c", version: "0" }, join(folder, "share")), {
    code: "CAISSON_E_HOST",
    message: /ENOENT/,
  });
  assert.equal(readdirSync("/proc/self/fd").length, before);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith(".sock")),
    [],
  );
});
