import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { addEvents } from "./trace-file.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-trace-"));
after(() => rmSync(folder, { recursive: true }));
const read = (path: string) => JSON.parse(readFileSync(path, "utf8"));

test("addEvents leaves whole JSON after each call, and begins anew when told, or when there is no array", () => {
  const path = join(folder, "trace.json");
  addEvents(path, ['{"a":1}', '{"b":2}'], true);
  assert.deepEqual(read(path), [{ a: 1 }, { b: 2 }]);
  addEvents(path, ['{"c":"]"}']);
  assert.deepEqual(read(path), [{ a: 1 }, { b: 2 }, { c: "]" }]);
  addEvents(path, ['{"d":4}'], true);
  assert.deepEqual(read(path), [{ d: 4 }]);
  writeFileSync(path, "no trace\n");
  addEvents(path, ['{"e":5}']);
  assert.deepEqual(read(path), [{ e: 5 }]);
});

test("addEvents of several processes at once leaves whole JSON with the events of all", async () => {
  const path = join(folder, "shared.json");
  addEvents(path, ['{"first":0}'], true);
  const script = `
    const { addEvents } = await import(${JSON.stringify(join(import.meta.dirname, "trace-file.ts"))});
    for (let i = 0; i < 50; i++) addEvents(${JSON.stringify(path)}, [JSON.stringify({ i, text: "x".repeat(i) })]);
  `;
  const children = [1, 2, 3].map(() => spawn(process.execPath, ["--input-type=module", "--eval", script]));
  await Promise.all(children.map((child) => once(child, "exit")));
  assert.equal(read(path).length, 151);
});

test("addEvents names a file that cannot be written", () => {
  assert.throws(() => addEvents("/nonexistent/trace", []), {
    code: "CAISSON_E_USAGE",
    message: /write the trace file/,
  });
  assert.throws(() => addEvents("/dev/null", []), { code: "CAISSON_E_USAGE", message: /not a regular file/ });
});
