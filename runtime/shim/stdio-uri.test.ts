import assert from "node:assert/strict";
import { test } from "node:test";
import { parseStdio } from "./stdio-uri.ts";

test("parseStdio knows FIFOs, files and loggers", () => {
  assert.deepEqual(parseStdio(""), { kind: "none" });
  assert.deepEqual(parseStdio("/run/fifo/1-stdout"), { kind: "fifo", path: "/run/fifo/1-stdout" });
  assert.deepEqual(parseStdio("fifo:///run/x"), { kind: "fifo", path: "/run/x" });
  assert.deepEqual(parseStdio("file:///var/log/a%20b.log"), { kind: "file", path: "/var/log/a b.log" });
  assert.deepEqual(parseStdio("binary:///usr/bin/logger?id=a%26b&tag=x&verbose"), {
    kind: "binary",
    path: "/usr/bin/logger",
    args: ["id", "a&b", "tag", "x", "verbose"],
  });
});

test("parseStdio refuses other URIs and relative paths", () => {
  for (const uri of ["relative", "npipe:////./pipe/x", "file://relative", "file:///a%zz", "http:///x"]) {
    assert.throws(() => parseStdio(uri), { code: "CAISSON_E_USAGE" }, uri);
  }
});
