import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { Host } from "../harness/host.ts";

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

async function guestRoot(id: string): Promise<string[]> {
  return (await host.ok(["exec", id, "ls", "/"])).trim().split("\n").sort();
}
