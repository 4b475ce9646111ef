import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Mount, Spec } from "../../protocol/oci.ts";
import { takeOwnSources } from "./own-sources.ts";
import { giveBack } from "./set-aside.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-own-"));
after(() => rmSync(folder, { recursive: true }));
const rootfs = join(folder, "rootfs");
mkdirSync(join(rootfs, "data"), { recursive: true });
mkdirSync(join(folder, "rootfs2"));
symlinkSync(rootfs, join(folder, "link"));

const config = (...mounts: Mount[]): Spec => ({ ociVersion: "1.2.0", root: { path: "/guest/rootfs" }, mounts });
const bound = (source: string, option = "bind"): Mount => ({
  destination: "/x",
  type: "none",
  source,
  options: ["ro", option],
});
const taken = (source: string) => giveBack(takeOwnSources(config(bound(source, "rbind")), rootfs)).mounts?.[0];

test("takeOwnSources leads to the container's root in the guest", () => {
  for (const source of [join(rootfs, "data"), join(folder, "link/data")]) {
    assert.deepEqual(taken(source), {
      destination: "/x",
      type: "bind",
      source: "/guest/rootfs/data",
      options: ["rbind", "ro"],
    });
  }
  // An earlier mount may have it.
  assert.equal(taken(join(folder, "link/made/later"))?.source, "/guest/rootfs/made/later");
  const { mounts } = giveBack(takeOwnSources(config(bound(join(rootfs, "data"))), rootfs));
  assert.deepEqual(mounts?.[0]?.options, ["bind", "ro"]);
});

test("takeOwnSources leaves the rest alone", () => {
  for (const source of [rootfs, join(folder, "rootfs2"), "/etc", "/not/there"]) {
    const given = config(bound(source), { destination: "/t", type: "tmpfs", source: join(rootfs, "data") });
    assert.deepEqual(takeOwnSources(given, rootfs), given);
    assert.deepEqual(giveBack(given), given);
  }
  const given = config(bound("/etc"));
  assert.equal(takeOwnSources(given, "/"), given);
});
