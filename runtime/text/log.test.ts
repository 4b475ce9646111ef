import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import fc from "fast-check";
import { jsonLine, log, textLine } from "./log.ts";

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "caisson-log-"));
  file = join(folder, "log");
});
afterEach(() => {
  log.stop();
  rmSync(folder, { recursive: true });
});

const TIME = "2026-11-22T03:00:00.000Z";

test("log appends one JSON object a line with level, msg and an RFC 3339 time", () => {
  log.start({ log: file, logFormat: "json", debug: false });
  log.error('it "broke"\nbadly', { id: "a" });
  log.start({ log: file, logFormat: "json", debug: false });
  log.warning("careful");
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  const records = lines.map((line) => JSON.parse(line) as Record<string, string>);
  assert.deepEqual(
    records.map(({ time, ...rest }) => rest),
    [
      { id: "a", level: "error", msg: 'it "broke"\nbadly' },
      { level: "warning", msg: "careful" },
    ],
  );
  for (const { time = "" } of records) assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test("log leaves out debug records unless asked for, and all below its level", () => {
  log.start({ log: file, logFormat: "text", debug: false });
  log.debug("hidden");
  log.level = "error";
  log.warning("hidden");
  log.error("shown");
  log.start({ log: file, logFormat: "text", debug: true });
  log.debug("shown, too");
  assert.match(
    readFileSync(file, "utf8"),
    /^time="[^"]+" level=error msg=shown\ntime="[^"]+" level=debug msg="shown, too"\n$/,
  );
});

test("log says which file it cannot open", () => {
  assert.throws(() => log.start({ log: join(folder, "no", "log"), logFormat: "json", debug: false }), {
    code: "CAISSON_E_USAGE",
    message: /cannot open the log file .*no such file or directory/,
  });
  assert.ok(log.isStderr);
});

test("log survives a full disk", () => {
  log.start({ log: "/dev/full", logFormat: "json", debug: false });
  log.error("lost");
});

test("log waits for no reader of a FIFO, and reaches the one that comes", { timeout: 60_000 }, () => {
  execFileSync("mkfifo", [file]);
  log.start({ log: file, logFormat: "text", debug: false });
  log.error("lost");
  for (const word of ["first", "second"]) {
    const reader = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    log.error(word);
    const chunk = Buffer.alloc(1000);
    assert.match(chunk.toString("utf8", 0, readSync(reader, chunk)), new RegExp(`^time=.* msg=${word}\n$`));
    closeSync(reader);
  }
});

test("jsonLine lets no field hide level, msg or time", () => {
  fc.assert(
    fc.property(fc.string(), fc.dictionary(fc.string(), fc.string()), (msg, fields) => {
      const line = jsonLine("info", msg, TIME, fields);
      assert.equal(line.indexOf("\n"), line.length - 1);
      const { level, msg: read, time } = JSON.parse(line) as Record<string, string>;
      assert.deepEqual([level, read, time], ["info", msg, TIME]);
    }),
  );
});

test("textLine quotes as logrus does and keeps a record on one line", () => {
  assert.equal(
    textLine("warning", "a b", TIME, { id: "x-1", path: "/run/a", n: 5, empty: "" }),
    `time="${TIME}" level=warning msg="a b" id=x-1 path=/run/a n=5 empty=""\n`,
  );
  fc.assert(fc.property(fc.string(), (msg) => assert.equal(textLine("info", msg, TIME).split("\n").length, 2)));
});

test("log.error does not wait for the reader of a standard error that is full", () => {
  const script = `
    import { constants, openSync, writeSync } from "node:fs";
    import { log } from ${JSON.stringify(join(import.meta.dirname, "log.ts"))};
    const pipe = openSync("/proc/self/fd/2", constants.O_WRONLY | constants.O_NONBLOCK);
    try { for (;;) writeSync(pipe, Buffer.alloc(4096)); } catch {}
    log.error("nobody reads this");
    process.stdout.write("done");`;
  execFileSync("mkfifo", [file]);
  const args = [
    "-c",
    'exec 3<>"$1" 2>"$1"; exec "$2" --input-type=module -e "$3"',
    "sh",
    file,
    process.execPath,
    script,
  ];
  assert.equal(execFileSync("sh", args, { timeout: 20_000, encoding: "utf8" }), "done");
});
