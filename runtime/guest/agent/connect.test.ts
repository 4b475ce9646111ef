import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const RUNTIME = join(import.meta.dirname, "../..");

for (const daemon of ["daemon/daemon.ts", "shim/daemon.ts"]) {
  test(`${daemon} does without gRPC until there is an agent: it would be loaded before QEMU is started`, () => {
    const script = `await import(${JSON.stringify(join(RUNTIME, daemon))});
      console.log(process.moduleLoadList.filter((name) => /^NativeModule (http2|tls)$/.test(name)).join());`;
    assert.equal(execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }), "\n");
  });
}
