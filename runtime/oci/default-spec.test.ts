import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Spec } from "../../protocol/oci.ts";
import { defaultSpec } from "./default-spec.ts";
import { validateConfig } from "./validate.ts";

test("defaultSpec is valid", () => {
  assert.deepEqual(validateConfig(defaultSpec(), "the default"), defaultSpec());
});

const withoutRunc = spawnSync("runc", ["--version"]).error !== undefined;

test("defaultSpec is what runc spec prints, but for version, name and cgroup namespace", { skip: withoutRunc }, () => {
  const bundle = mkdtempSync(join(tmpdir(), "caisson-spec-"));
  try {
    execFileSync("runc", ["spec", "--bundle", bundle]);
    const theirs = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")) as Spec;
    const namespaces = theirs.linux?.namespaces?.filter(({ type }) => type !== "cgroup") ?? [];
    const ours = defaultSpec();
    // Before 1.2, runc's had ambient ones, of which none came to be: they were not inheritable.
    delete theirs.process?.capabilities?.ambient;
    assert.deepEqual(ours, {
      ...theirs,
      ociVersion: ours.ociVersion,
      hostname: ours.hostname,
      linux: { ...theirs.linux, namespaces: [...namespaces, { type: "cgroup" }] },
    });
  } finally {
    rmSync(bundle, { recursive: true });
  }
});
