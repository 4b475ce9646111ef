import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { Host } from "../harness/host.ts";

const host = new Host();
after(() => host[Symbol.asyncDispose]());

test("list of nothing is a header, an empty array, nothing", async () => {
  assert.equal(await host.ok(["list"]), "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
  assert.equal(await host.ok(["list", "--format", "json"]), "[]\n");
  assert.equal(await host.ok(["list", "--quiet"]), "");
  assert.equal(await host.ok(["--root", join(host.root, "none"), "list", "-q"]), "");
});

test("list shows every container in each format, and leaves out what it cannot read", async () => {
  using bundle = new Bundle();
  const id = await host.start(bundle);
  mkdirSync(join(host.root, "broken"));
  writeFileSync(join(host.root, "broken/state.json"), "{");
  const { pid } = JSON.parse(await host.ok(["state", id]));

  const { stdout, stderr } = await host.run(["list"]);
  const [header, line, ...rest] = stdout.trimEnd().split("\n");
  assert.match(header ?? "", /^ID +PID +STATUS +BUNDLE +CREATED +OWNER$/);
  assert.match(line ?? "", new RegExp(`^${id} +${pid} +running +${bundle.directory} +2\\S+Z +root$`));
  assert.deepEqual(rest, []);
  assert.match(stderr, /level=warning msg=".*broken is left out/);

  assert.equal(await host.ok(["list", "-q"]), `${id}\n`);
  const [{ created, ...entry }] = JSON.parse(await host.ok(["list", "-f", "json"]));
  assert.ok(Date.parse(created) <= Date.now());
  assert.deepEqual(entry, {
    ociVersion: "1.2.0",
    id,
    pid,
    status: "running",
    bundle: bundle.directory,
    rootfs: bundle.rootfs,
    owner: "root",
  });
  await host.ok(["delete", "-f", id]);
  await host.ok(["delete", "-f", "broken"]);
  assert.deepEqual(await host.remains(), []);
});
