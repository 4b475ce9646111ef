import assert from "node:assert/strict";
import { posix } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { containerPath } from "./paths.ts";

test("containerPath is what posix.join says, without a slash at the end", () => {
  const part = fc.constantFrom("a", "..", ".", "", "...", ".b");
  fc.assert(
    fc.property(fc.array(part), fc.boolean(), (parts, absolute) => {
      const path = (absolute ? "/" : "") + parts.join("/");
      const joined = posix.join("/", path);
      assert.equal(containerPath(path), joined === "/" ? "/" : joined.replace(/\/$/, ""));
    }),
  );
});
