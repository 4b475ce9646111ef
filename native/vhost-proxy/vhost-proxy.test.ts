import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const OUT = join(import.meta.dirname, "../../out/native");
/** Plays QEMU and virtiofsd around the proxy, under the address and undefined behaviour sanitizers; built by `make native-tests`. */
const TRIAL = join(OUT, "test/vhost-proxy-trial");
/** A program that is forked by native/fork-server with the proxy in it. */
const FORK_TRIAL = join(OUT, "test/vhost-proxy-fork-trial");

/** Copies are made users of their own. */
const needsRoot = process.geteuid?.() !== 0 && "needs root";

/** The libraries are named from where they are: LD_PRELOAD would be split at what the checkout's path may contain (ld.so(8)). */
function run(program: string, ...words: string[]) {
  const { status, signal, stdout, stderr } = spawnSync(program, words, { encoding: "utf8", cwd: OUT });
  return { outcome: signal ?? status, stdout, stderr };
}

const names = existsSync(TRIAL) ? run(TRIAL).stdout.split("\n").filter(Boolean) : [];

test("vhost-proxy: its trials are built and have names", () => {
  assert.ok(existsSync(TRIAL), `${TRIAL} is missing: make native-tests builds it`);
  assert.ok(names.length > 0);
});

for (const name of names) {
  test(`vhost-proxy ${name}`, () => {
    const { outcome, stderr } = run(TRIAL, name);
    assert.equal(outcome, 0, stderr);
  });
}

for (const peer of [[], ["alone"]]) {
  test(`vhost-proxy serves a device in each copy of a fork server${peer.length === 0 ? "" : " whose control socket has no peer"}`, {
    skip: needsRoot,
  }, () => {
    const { outcome, stderr } = run(FORK_TRIAL, "./fork-server.so", "./vhost-proxy.so", ...peer);
    assert.equal(outcome, 0, stderr);
  });
}
