import assert from "node:assert/strict";
import { test } from "node:test";
import { table } from "./table.ts";

// The two tables are runc 1.1.5's.
test("table aligns as runc's list does", () => {
  const header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];
  assert.equal(
    table(header, [["a", "11236", "created", "/tmp/rc/b", "2026-11-22T03:08:31.359804233Z", "root"]]),
    "ID          PID         STATUS      BUNDLE      CREATED                          OWNER\n" +
      "a           11236       created     /tmp/rc/b   2026-11-22T03:08:31.359804233Z   root\n",
  );
  assert.equal(table(header, []), "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
});

test("table widens a column for its longest cell", () => {
  assert.equal(table(["A", "B"], [["a-long-identifier", "x"]]), "A                   B\na-long-identifier   x\n");
});
