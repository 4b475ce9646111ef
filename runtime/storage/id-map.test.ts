import assert from "node:assert/strict";
import { test } from "node:test";
import { idMapOf, withoutIdMap } from "./id-map.ts";

const from = (containerID: number, hostID: number, size = 1) => [{ containerID, hostID, size }];
const linux = { uidMappings: from(0, 100_000, 65_536), gidMappings: from(0, 200_000, 65_536) };

test("idMapOf takes the mount's own map, else the container's, and none when none is asked for", () => {
  const mount = { destination: "/x", options: ["rbind"] };
  assert.equal(idMapOf(mount, linux), undefined);
  const own = { ...mount, uidMappings: from(0, 7), gidMappings: from(1, 8) };
  assert.deepEqual(idMapOf(own, linux), { uids: "0 7 1\n", gids: "1 8 1\n", recursive: false });
  const of = (...options: string[]) => idMapOf({ ...mount, options }, linux);
  assert.deepEqual(of("idmap"), { uids: "0 100000 65536\n", gids: "0 200000 65536\n", recursive: false });
  assert.equal(of("idmap", "ridmap")?.recursive, true);
});

test("withoutIdMap leaves nothing for the guest to map, and all else", () => {
  const mount = { destination: "/x", options: ["rbind", "ro", "ridmap"], uidMappings: from(0, 7), gidMappings: [] };
  assert.deepEqual(withoutIdMap(mount), { destination: "/x", options: ["rbind", "ro"] });
  assert.deepEqual(withoutIdMap({ destination: "/x" }), { destination: "/x" });
});
