import assert from "node:assert/strict";
import { test } from "node:test";
import { withDiskPaths } from "./kinds.ts";

test("withDiskPaths changes the source, and the further devices of an erofs alone", () => {
  const change = (path: string) => `/there${path}`;
  const options = ["ro", "device=/one", "device=/two"];
  const mount = { destination: "/d", type: "erofs", source: "/meta", options };
  const led = ["ro", "device=/there/one", "device=/there/two"];
  assert.deepEqual(withDiskPaths(mount, change), { ...mount, source: "/there/meta", options: led });
  const other = { ...mount, type: "btrfs" };
  assert.deepEqual(withDiskPaths(other, change), { ...other, source: "/there/meta" });
});
