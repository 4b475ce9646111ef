import assert from "node:assert/strict";
import { test } from "node:test";
import { startFlags } from "./start.ts";

const NAMED = ["-namespace", "n", "-id", "c"];

test("startFlags: only a start that names a container is one; all else is the command line's", () => {
  assert.equal(startFlags([...NAMED, "-debug", "start"])?.debug, true);
  for (const args of [
    [...NAMED, "delete"],
    ["-id", "c", "start"],
    [...NAMED, "-v", "start"],
    [...NAMED, "-info", "start"],
    [...NAMED, "-none", "start"],
    ["-namespace", "n", "-id", "start"],
  ]) {
    assert.equal(startFlags(args), undefined, args.join(" "));
  }
});
