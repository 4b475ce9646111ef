import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readGuestLogs } from "./guest-logs.ts";
import type { KnownSandbox } from "./sandboxes.ts";

const root = mkdtempSync(join(tmpdir(), "guest-logs-"));
after(() => rmSync(root, { recursive: true }));

test("readGuestLogs reads on from the former file, and leaves out what drives terminals", async () => {
  const directory = join(root, "c1");
  mkdirSync(directory);
  writeFileSync(join(directory, "console.log.1"), "one\ntw");
  writeFileSync(join(directory, "console.log"), "o\r\n\x1b[31mred\x1b[0m\x07\x9b\nthree");
  const record = { id: "c1", status: "stopped" } as KnownSandbox["record"];
  const known = { id: "c1", root, directory, namespace: "", record };
  assert.deepEqual(await readGuestLogs(known), { console: ["one", "two", "red", "three"], agent: [] });
});
