import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { tar } from "./tar.ts";

const folder = mkdtempSync(join(tmpdir(), "tar-"));
after(() => rmSync(folder, { recursive: true }));

test("tar writes what tar(1) reads", () => {
  const long = `${"d".repeat(120)}/${"f".repeat(90)}`;
  const files = [
    { name: "r/empty", content: Buffer.alloc(0) },
    { name: "r/block", content: Buffer.alloc(512, "a") },
    { name: `r/${long}`, content: Buffer.from("long") },
  ];
  const path = join(folder, "a.tar");
  writeFileSync(path, tar(files, 1_700_000_000));
  execFileSync("tar", ["-xf", path, "-C", folder]);
  for (const { name, content } of files) assert.deepEqual(readFileSync(join(folder, name)), content);
  assert.match(
    execFileSync("tar", ["-tvf", path], { encoding: "utf8", env: { TZ: "UTC" } }),
    /-rw------- root\/root .* 2023-11-14 22:13 r\/empty/,
  );
});

test("tar refuses a name that it has no room for", () => {
  assert.throws(() => tar([{ name: "x".repeat(200), content: Buffer.alloc(0) }], 0), RangeError);
});
