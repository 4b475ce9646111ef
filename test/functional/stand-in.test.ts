import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Worker } from "node:worker_threads";
import { Bundle } from "../harness/bundle.ts";
import { detached, Host } from "../harness/host.ts";

const host = new Host();
const folder = mkdtempSync(join(tmpdir(), "caisson-stand-in-"));
after(async () => {
  rmSync(folder, { recursive: true });
  await host[Symbol.asyncDispose]();
});

test("the mount namespace of the OCI pid has the container's files and volumes, and nothing of the host", async () => {
  using bundle = new Bundle();
  writeFileSync(join(folder, "in-volume"), "");
  writeFileSync(join(bundle.rootfs, "in-root"), "");
  // The link must not lead to the host's file.
  symlinkSync("/root", join(bundle.rootfs, "link"));
  bundle.spec.mounts?.push({ destination: "/link/volume", type: "bind", source: folder, options: ["rbind"] });
  const id = await host.start(bundle.write());
  const { pid } = JSON.parse(await host.ok(["state", id]));
  const inside = (...command: string[]) =>
    execFileSync("nsenter", ["--mount", "--target", String(pid), "/bin/busybox", ...command], { encoding: "utf8" });
  assert.deepEqual(inside("ls", "/").trim().split("\n").sort(), await guestRoot(id));
  inside("test", "-f", "/in-root");
  inside("test", "-f", "/root/volume/in-volume");
  assert.throws(() => inside("test", "-e", bundle.directory), { status: 1 });
  inside("touch", "/from-the-host");
  await host.ok(["exec", id, "test", "-f", "/from-the-host"]);
  assert.equal(existsSync("/from-the-host"), false);
  // The daemon still does its own work: an exec, and the removal of all that it mounted.
  await host.ok(["delete", "--force", id]);
  assert.deepEqual(await host.remains(), []);
});

test("the OCI pid's namespaces are the container's at every moment, also while its daemon starts what belongs to its caller", async () => {
  using bundle = new Bundle();
  bundle.spec.hooks = { poststart: Array.from({ length: 40 }, () => ({ path: "/bin/true" })) };
  const id = host.id();
  await detached(host, ["create", "--bundle", bundle.write().directory, id]);
  const { pid } = JSON.parse(await host.ok(["state", id]));
  const links = ["mnt", "net"].map((name) => `/proc/${pid}/ns/${name}`);
  const expected = links.map((link) => readlinkSync(link));
  const watcher = new Worker(WATCH, { eval: true, workerData: links });
  const ready = once(watcher, "message");
  await ready;
  const { exitCode, stderr } = await host.run(["start", id]);
  const told = once(watcher, "message");
  watcher.postMessage("end");
  assert.deepEqual([exitCode, stderr], [0, ""]);
  assert.deepEqual(await told, [expected]);
  await host.ok(["delete", "--force", id]);
});

/** Tells which links it has seen from its first message until it is told to end, in the order in which they came. */
const WATCH = `
  const { parentPort, receiveMessageOnPort, workerData } = require("node:worker_threads");
  const { readlinkSync } = require("node:fs");
  const seen = new Set(workerData.map((link) => readlinkSync(link)));
  parentPort.postMessage("");
  while (receiveMessageOnPort(parentPort) === undefined) for (const link of workerData) seen.add(readlinkSync(link));
  parentPort.postMessage([...seen]);
`;

async function guestRoot(id: string): Promise<string[]> {
  return (await host.ok(["exec", id, "ls", "/"])).trim().split("\n").sort();
}
