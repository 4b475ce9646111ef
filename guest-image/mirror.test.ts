import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { debianMirror } from "./mirror.ts";

const sites = () => "http://one.test/debian/\nhttp://two.test/debian\n";

test("debianMirror is the first that apt knows", () => {
  assert.equal(debianMirror({}, sites), "http://one.test/debian");
  assert.equal(debianMirror({ GUEST_MIRROR: "" }, sites), "http://one.test/debian");
});

test("debianMirror is the one that the environment names", () => {
  assert.equal(debianMirror({ GUEST_MIRROR: "http://three.test/debian/" }, sites), "http://three.test/debian");
});

test("debianMirror says what to set when apt knows none", () => {
  assert.throws(() => debianMirror({}, () => ""), /Set GUEST_MIRROR/);
});

test("debianMirror reads the list of mirrors that a source names", () => {
  const folder = mkdtempSync(join(tmpdir(), "caisson-mirror-"));
  try {
    const list = join(folder, "debian.list");
    writeFileSync(list, "# nearest first\nhttp://four.test/debian/ priority:1\nhttp://five.test/debian\n");
    assert.equal(
      debianMirror({}, () => `mirror+file://${list}/\n`),
      "http://four.test/debian",
    );
    writeFileSync(list, "");
    assert.throws(() => debianMirror({}, () => `mirror+file:${list}`), /debian\.list, .* lists no mirror/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
