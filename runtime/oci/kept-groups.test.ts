import assert from "node:assert/strict";
import { test } from "node:test";
import type { Spec } from "../../protocol/oci.ts";
import { keepGroups } from "./kept-groups.ts";

const config: Spec = {
  ociVersion: "1.0.0",
  process: { cwd: "/", args: ["x"], user: { uid: 5, additionalGids: [7] } },
  annotations: { "run.oci.keep_original_groups": "1" },
};
const gidsOf = ({ process }: Spec) => process?.user?.additionalGids;

test("keepGroups adds the groups where the annotation says so, and nowhere else", () => {
  assert.deepEqual(gidsOf(keepGroups(config, [1, 7, 2])), [7, 1, 2]);
  assert.equal(keepGroups(config, [1]).process?.user?.uid, 5);
  for (const annotations of [undefined, {}, { "run.oci.keep_original_groups": "0" }]) {
    const { annotations: _, ...rest } = config;
    const other = { ...rest, ...(annotations && { annotations }) };
    assert.equal(keepGroups(other, [1]), other);
  }
});

test("keepGroups keeps those that the user namespace maps, by its own ids", () => {
  const gidMappings = [
    { containerID: 0, hostID: 1000, size: 10 },
    { containerID: 50, hostID: 3, size: 1 },
  ];
  const linux = { namespaces: [{ type: "user" as const }], gidMappings };
  assert.deepEqual(gidsOf(keepGroups({ ...config, linux }, [3, 4, 1002])), [7, 50, 2]);
});
