import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { WriteVolumeRequest } from "../../../protocol/generated/agent.ts";
import type { Agent } from "../agent/client.ts";
import { WatchedVolume } from "./watched-volume.ts";

const directory = mkdtempSync(join(tmpdir(), "caisson-watched-"));
after(() => rmSync(directory, { recursive: true }));

/** Replaces the volume as kubelet does. */
function publish(number: number, content = `${number}`): void {
  const link = join(directory, "..data");
  mkdirSync(join(directory, `..${number}`));
  writeFileSync(join(directory, `..${number}/key`), content);
  symlinkSync(`..${number}`, `${link}_tmp`);
  renameSync(`${link}_tmp`, link);
  rmSync(join(directory, `..${number - 1}`), { recursive: true, force: true });
}

/** A guest that takes its time; what it has been told. */
function guest() {
  const written: string[] = [];
  const removed: string[] = [];
  const call = async (name: string, request: WriteVolumeRequest) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (name === "removeVolume") removed.push(request.path);
    else written.push(Buffer.from(request.entries.find(({ path }) => path.endsWith("/key"))?.content ?? "").toString());
  };
  return { agent: { call } as unknown as Agent, written, removed };
}

test("WatchedVolume follows the host to its last change, and ends with close()", async () => {
  const { agent, written, removed } = guest();
  publish(1);
  const volume = { directory, guestPath: "/run/caisson/volumes/1", field: "mounts[0].source", name: directory };
  const watched = await WatchedVolume.start(agent, volume);
  assert.deepEqual(written, ["1"]);
  for (let number = 2; number <= 50; number++) publish(number);
  const end = Date.now() + 5000;
  while (written.at(-1) !== "50" && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(written.at(-1), "50");
  // What comes too fast is written once.
  assert.ok(written.length < 50);
  publish(51, "x".repeat(4 * 1024 * 1024));
  await new Promise((resolve) => setTimeout(resolve, 100));
  publish(52);
  while (written.at(-1) !== "52" && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(written.at(-1), "52");
  watched.close();
  watched.close();
  publish(53);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(written.at(-1), "52");
  assert.deepEqual(removed, ["/run/caisson/volumes/1"]);
});
