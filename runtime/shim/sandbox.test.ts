import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { CreateSandboxRequest } from "../../protocol/generated/containerd/sandbox.ts";
import type { ContainerRecord } from "../state/container-record.ts";
import { shimPaths } from "./paths.ts";
import { ShimPod } from "./pod.ts";
import { ShimSandbox } from "./sandbox.ts";
import { SandboxFiles } from "./sandbox-files.ts";

function makeSandbox(context: TestContext): { sandbox: ShimSandbox; folder: string } {
  const folder = mkdtempSync(join(tmpdir(), "caisson-sandbox-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const pod = new ShimPod(shimPaths("/containerd.sock", "tests", "s"), {} as ContainerRecord);
  return { sandbox: new ShimSandbox(pod, undefined, join(folder, "sandbox")), folder };
}

const REQUEST: CreateSandboxRequest = {
  sandboxId: "s",
  bundlePath: "",
  rootfs: [],
  options: undefined,
  netnsPath: "/run/netns/n",
  annotations: {},
};

test("ShimSandbox knows no sandbox before it is created, and then no other one", (context) => {
  const { sandbox } = makeSandbox(context);
  assert.throws(() => sandbox.status("s"), { code: "CAISSON_E_NOT_FOUND" });
  assert.deepEqual([sandbox.exists, sandbox.lives], [false, false]);
  sandbox.create(REQUEST);
  assert.deepEqual([sandbox.exists, sandbox.lives], [true, true]);
  assert.deepEqual(sandbox.status("s"), { pid: 0, ready: false, createdAt: 0, exitedAt: undefined });
  assert.throws(() => sandbox.status("other"), { code: "CAISSON_E_NOT_FOUND" });
  assert.throws(() => sandbox.create(REQUEST), { code: "CAISSON_E_ID_IN_USE" });
});

test("ShimSandbox.create refuses a root file system, and options of another type", (context) => {
  const { sandbox } = makeSandbox(context);
  const rootfs = [{ type: "bind", source: "/", target: "", options: [] }];
  assert.throws(() => sandbox.create({ ...REQUEST, rootfs }), { code: "CAISSON_E_CONFIG_UNSUPPORTED" });
  const options = { typeUrl: "containerd.runc.v1.Options", value: Buffer.alloc(0) };
  assert.throws(() => sandbox.create({ ...REQUEST, options }), { code: "CAISSON_E_USAGE" });
});

test("ShimSandbox.create writes the bundle of what stands for it, from the client's own configuration", (context) => {
  const { sandbox, folder } = makeSandbox(context);
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ociVersion: "1.1.0", hostname: "given" }));
  sandbox.create({ ...REQUEST, bundlePath: folder });
  const bundle = join(folder, "sandbox", "bundle");
  assert.equal(JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")).hostname, "given");
  assert.equal(statSync(join(bundle, "rootfs", "pause")).mode & 0o777, 0o755);
});

test("ShimSandbox: one that is stopped before it was started ends its wait with 0 and cannot be started", async (context) => {
  const { sandbox } = makeSandbox(context);
  sandbox.create(REQUEST);
  const wait = sandbox.wait("s");
  await sandbox.stop("s");
  await sandbox.stop("s");
  assert.equal((await wait).exitCode, 0);
  assert.deepEqual([sandbox.exists, sandbox.lives], [true, false]);
  await assert.rejects(sandbox.start("s", new AbortController().signal), { code: "CAISSON_E_STATE" });
  await assert.rejects(sandbox.ping("s"), { code: "CAISSON_E_STATE" });
});

test("SandboxFiles.complete changes nothing for a sandbox that is not CRI's", () => {
  const document = { mounts: [] };
  assert.equal(new SandboxFiles("/nowhere").complete(document), document);
  assert.equal(new SandboxFiles("/nowhere").complete("junk"), "junk");
});
