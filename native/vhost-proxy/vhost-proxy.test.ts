import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

/** Plays QEMU and virtiofsd around the proxy, under the address and undefined behaviour sanitizers; built by `make native-tests`. */
const TRIAL = join(import.meta.dirname, "../../out/native/test/vhost-proxy-trial");

function run(...words: string[]) {
  const { status, signal, stdout, stderr } = spawnSync(TRIAL, words, { encoding: "utf8" });
  return { outcome: signal ?? status, stdout, stderr };
}

const names = existsSync(TRIAL) ? run().stdout.split("\n").filter(Boolean) : [];

test("vhost-proxy: its trials are built and have names", () => {
  assert.ok(existsSync(TRIAL), `${TRIAL} is missing: make native-tests builds it`);
  assert.ok(names.length > 0);
});

for (const name of names) {
  test(`vhost-proxy ${name}`, () => {
    const { outcome, stderr } = run(name);
    assert.equal(outcome, 0, stderr);
  });
}
