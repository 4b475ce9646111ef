import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

test("endProcess() ends with its code, once what listens has been called", () => {
  const script = `
    import { endProcess } from ${JSON.stringify(new URL("end.ts", import.meta.url).href)};
    process.once("exit", (code) => process.stdout.write("ends with " + code));
    endProcess(7);`;
  const { status, stdout } = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", script], {
    encoding: "utf8",
  });
  assert.deepEqual({ status, stdout }, { status: 7, stdout: "ends with 7" });
});
