import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { errorOf, Host } from "../harness/host.ts";

const host = new Host();
/** A folder of its own: the templates that other tests use stay. */
const folder = mkdtempSync("/dev/shm/caisson-test-");
const settings = join(folder, "config.toml");
writeFileSync(settings, `template_dir = "${folder}/templates"\nmemory_mib = 256\nboot_timeout_seconds = 100\n`);
after(async () => {
  // The template's fork server would be there for an hour.
  await template("rm", "--all");
  rmSync(folder, { recursive: true });
  await host[Symbol.asyncDispose]();
});

const template = (...args: string[]) => host.run(["--config", settings, "template", ...args]);

test("template build, list and rm; containers use it", async () => {
  assert.equal((await template("list", "--quiet")).stdout, "");
  const built = await template("build");
  assert.match(built.stdout, /^[0-9a-f]{32}\n$/, built.stderr);
  const key = built.stdout.trim();
  const memory = join(folder, "templates", key, "memory");
  const { ino, ctimeMs, blocks } = statSync(memory);

  assert.equal((await template("build")).stdout, built.stdout);
  assert.equal((await template("list", "-q")).stdout, built.stdout);
  const [entry] = JSON.parse((await template("list", "--format", "json")).stdout);
  assert.deepEqual([entry.key, entry.condition, entry.manifest.memoryMib], [key, "usable", 256]);
  assert.match((await template("list")).stdout, new RegExp(`^KEY .*\\n${key} +\\d+ +256 MiB +1 +1 +microvm`));

  // Memory that the template's guest never had in use, and is not the template's afterwards.
  using bundle = new Bundle(["dd", "if=/dev/zero", "of=/dev/shm/touched", "bs=1M", "count=50"]);
  await host.ok(["--config", settings, "run", "-b", bundle.directory, host.id()]);
  const after = statSync(memory);
  assert.deepEqual([after.ino, after.ctimeMs], [ino, ctimeMs]);
  // A disk's file system may settle for fewer than it had set aside.
  assert.ok(after.blocks <= blocks, `${after.blocks} blocks, ${blocks} before`);

  // Nothing can be written there, and what is there can be used.
  const templates = join(folder, "templates");
  execFileSync("mount", ["--bind", templates, templates]);
  try {
    execFileSync("mount", ["-o", "remount,bind,ro", templates]);
    const cloned = await host.run(["--config", settings, "--debug", "run", "-b", bundle.directory, host.id()]);
    assert.equal(cloned.exitCode, 0, cloned.stderr);
    assert.doesNotMatch(cloned.stderr, /the sandbox boots/);
  } finally {
    execFileSync("umount", [templates]);
  }

  assert.equal((await template("rm", "--stale")).exitCode, 0);
  assert.ok(existsSync(memory));
  assert.equal((await template("rm", key)).exitCode, 0);
  assert.ok(!existsSync(memory));
  const again = await template("rm", key);
  assert.equal(again.exitCode, 1);
  assert.match(errorOf(again), /there is no template/);
});

test("a template folder of another user's: the sandbox boots, and the log says why", async () => {
  const others = join(folder, "others");
  const file = join(folder, "others.toml");
  mkdirSync(others, { mode: 0o700 });
  chownSync(others, 12345, 12345);
  writeFileSync(file, `template_dir = "${others}/templates"\nmemory_mib = 256\nboot_timeout_seconds = 100\n`);
  using bundle = new Bundle(["echo", "hi"]);
  const log = join(folder, "log");
  assert.equal(await host.ok(["--config", file, "--log", log, "run", "-b", bundle.directory, host.id()]), "hi\n");
  assert.match(readFileSync(log, "utf8"), /level=warning msg="the sandbox boots, .*it belongs to user 12345/);
});

test("template names what it is to do", async () => {
  for (const [args, message] of [
    [[], /caisson template: a command is missing/],
    [["make"], /unknown command 'make'/],
    [["rm"], /name the templates to remove, or give --all/],
    [["rm", "--all", "--stale"], /name the templates to remove, or give --all/],
    [["rm", "../x"], /there is no template "\.\.\/x"/],
    [["list", "--format", "xml"], /invalid format option/],
  ] as const) {
    const result = await template(...args);
    assert.equal(result.exitCode, 1);
    assert.match(errorOf(result), message);
  }
});
