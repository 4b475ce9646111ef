import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Hook } from "../../protocol/oci.ts";
import { log } from "../text/log.ts";
import { HostHooks, runPoststopHooks } from "./hooks.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-hooks-"));
after(() => rmSync(folder, { recursive: true }));
log.level = "error";

const container = { id: "c1", bundle: folder, annotations: { key: "value" } };
const never = new AbortController().signal;

function script(text: string, more: Omit<Hook, "path"> = {}): Hook {
  const path = join(folder, `hook-${Math.random()}`);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return { path, ...more };
}

/** The path of a file that a hook writes, and what is in it. */
function file(name: string): { path: string; text: () => string } {
  const path = join(folder, name);
  rmSync(path, { force: true });
  return { path, text: () => (existsSync(path) ? readFileSync(path, "utf8") : "") };
}

test("HostHooks.create runs prestart, then createRuntime hooks, in their order", async () => {
  const { path, text } = file("order");
  const hook = (word: string) => script(`echo ${word} >> ${path}`);
  await new HostHooks({ createRuntime: [hook("c"), hook("d")], prestart: [hook("a"), hook("b")] }, container).create(
    never,
  );
  assert.equal(text(), "a\nb\nc\nd\n");
});

/** A container that dies of a signal, which is put into the list. */
function living(killed: number[]): Parameters<HostHooks["poststart"]>[0] {
  const { promise, resolve } = Promise.withResolvers<void>();
  const kill = async (signal: number) => {
    killed.push(signal);
    resolve();
  };
  return { kill, init: { over: promise } };
}

test("hooks read the state, with its status and the pid while there is one", async () => {
  const { path, text } = file("state");
  const hook = script(`cat > ${path}`);
  const hooks = new HostHooks({ createRuntime: [hook], poststart: [hook] }, container);
  const state = { ociVersion: "1.2.0", id: "c1", pid: process.pid, bundle: folder, annotations: { key: "value" } };
  await hooks.create(never);
  assert.deepEqual(JSON.parse(text()), { ...state, status: "creating" });
  await new HostHooks({ prestart: [hook] }, container).create(never);
  assert.deepEqual(JSON.parse(text()), { ...state, status: "created" });
  await hooks.poststart(living([]));
  assert.deepEqual(JSON.parse(text()), { ...state, status: "running" });
  await runPoststopHooks([hook], container);
  const { pid, ...stopped } = state;
  assert.deepEqual(JSON.parse(text()), { ...stopped, status: "stopped" });
});

test("a hook gets its arguments and environment as they are, and runs in the bundle", async () => {
  const { path, text } = file("arguments");
  const sh = {
    path: "/bin/sh",
    args: ["name", "-c", `echo "$0 $1"; env; pwd`, "zero", ""],
    env: ["A=b=c", "PATH=/bin"],
  };
  const args = [...sh.args.slice(0, 2), `{ ${sh.args[2]}; tr '\\0' ' ' < /proc/$$/cmdline; } > ${path}`, "zero", "one"];
  await new HostHooks({ prestart: [{ ...sh, args }] }, container).create(never);
  const lines = text().split("\n");
  assert.equal(lines[0], "zero one");
  assert.deepEqual(lines.filter((line) => /^(A|PATH|HOME)=/.test(line)).sort(), ["A=b=c", "PATH=/bin"]);
  assert.ok(lines.includes(folder));
  assert.match(text(), /^name -c /m);
});

test("without args a hook's name is its path; without env it has the runtime's", async () => {
  const { path, text } = file("defaults");
  const hook = script(`{ echo "$0"; echo "$HOME"; } > ${path}`);
  await new HostHooks({ prestart: [hook] }, container).create(never);
  assert.match(text(), new RegExp(`^${folder}/hook-.*\n${process.env["HOME"] ?? ""}\n$`));
});

for (const [what, text, message] of [
  [
    "status",
    "echo out; echo why >&2; exit 3",
    /^hooks\.createRuntime\[1\] ".*": error running hook #1: the createRuntime hook failed with exit code 3: out\n?why$/,
  ],
  ["signal", "kill -TERM $$", /was killed by SIGTERM$/],
] as const) {
  test(`HostHooks.create throws for a failed hook (${what}), and runs none after it`, async () => {
    const { path, text: after } = file("after");
    const hooks = { createRuntime: [script("true"), script(text), script(`echo ran > ${path}`)] };
    const creation = new HostHooks(hooks, container).create(never);
    await assert.rejects(creation, { code: "CAISSON_E_HOOK", field: "hooks.createRuntime[1]", message });
    assert.equal(after(), "");
  });
}

test("HostHooks.create throws for a hook that cannot be started, is late, or is aborted", async () => {
  const create = (hook: Hook, signal = never) => new HostHooks({ prestart: [hook] }, container).create(signal);
  await assert.rejects(create({ path: "/no/such/hook" }), { code: "CAISSON_E_HOOK", message: /cannot be run/ });
  const start = performance.now();
  await assert.rejects(create(script("sleep 200", { timeout: 1 })), { message: /longer than its timeout of 1 s/ });
  await assert.rejects(create(script("sleep 200"), AbortSignal.timeout(100)), { name: "TimeoutError" });
  assert.ok(performance.now() - start < 60_000);
});

test("a hook that reads nothing, or leaves something behind that holds its output, is no failure", async () => {
  const annotations = { long: "y".repeat(200_000) };
  await new HostHooks({ prestart: [script("sleep 3 & exit 0")] }, { ...container, annotations }).create(never);
});

test("poststop hooks that fail are warned of, and those after them run", async () => {
  const { path, text } = file("after-failure");
  const list = [script("exit 1"), { path: "/none" }, script(`echo ran >> ${path}`)];
  await runPoststopHooks(list, container);
  assert.equal(text(), "ran\n");
});

test("a poststart hook that fails has the container killed, and those after it do not run", async () => {
  const { path, text } = file("after-poststart");
  const list = [script("exit 1"), script(`echo ran >> ${path}`)];
  const killed: number[] = [];
  await assert.rejects(new HostHooks({ poststart: list }, container).poststart(living(killed)), {
    code: "CAISSON_E_HOOK",
    message: /hooks\.poststart\[0\].* the poststart hook failed with exit code 1/,
  });
  assert.deepEqual(killed, [9]);
  assert.equal(text(), "");
});

test("HostHooks.poststop runs only when create was called; abort ends a poststart hook", async () => {
  const { path, text } = file("poststop");
  const hooks = new HostHooks(
    { poststop: [script(`echo ran >> ${path}`)], poststart: [script("sleep 20")] },
    container,
  );
  await hooks.poststop();
  assert.equal(text(), "");
  await hooks.create(never);
  const poststart = hooks.poststart(living([]));
  setTimeout(() => hooks.abort(), 50);
  await poststart;
  await hooks.poststop();
  assert.equal(text(), "ran\n");
});
