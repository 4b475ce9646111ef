import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CaissonError } from "../../protocol/errors.ts";
import { codeOf, exitCodeOf, formatError, isSystemError, systemErrorSentence } from "./errors.ts";

function missingFile(): Error {
  try {
    readFileSync("/nonexistent/file");
  } catch (error) {
    return error as Error;
  }
  throw new Error("unreachable");
}

test("systemErrorSentence says what was done, why it failed and the errno", () => {
  assert.equal(
    systemErrorSentence("read /nonexistent/file", missingFile()),
    "cannot read /nonexistent/file: no such file or directory (ENOENT)",
  );
});

test("systemErrorSentence takes the addons' positive errno, too", () => {
  const error = Object.assign(new Error("mount"), { code: "EACCES", errno: 13, syscall: "mount" });
  assert.equal(isSystemError(error), true);
  assert.equal(systemErrorSentence("mount /a", error), "cannot mount /a: permission denied (EACCES)");
});

test("systemErrorSentence takes any thrown value", () => {
  assert.equal(systemErrorSentence("try", new Error("it broke")), "cannot try: it broke");
  assert.equal(systemErrorSentence("try", "text"), "cannot try: text");
});

test("formatError shows the message, the causes it does not tell itself, then the remedy, on one line", () => {
  const cause = new Error("QEMU ended\nwith status 1", { cause: missingFile() });
  const error = new CaissonError("CAISSON_E_VM_START", "cannot start the VM", { cause, remedy: "Run caisson check." });
  assert.equal(
    formatError(error),
    "cannot start the VM: QEMU ended with status 1: open /nonexistent/file: no such file or directory (ENOENT). Run caisson check.",
  );
});

test("formatError does not repeat a system error that the sentence above has told", () => {
  const cause = missingFile();
  const error = new CaissonError("CAISSON_E_BUNDLE", systemErrorSentence("read /b/config.json", cause), { cause });
  assert.equal(formatError(error), "cannot read /b/config.json: no such file or directory (ENOENT)");
});

test("formatError tells a failure before its clean-up's failure", () => {
  const error = new SuppressedError(new Error("umount failed"), new Error("start failed"));
  assert.equal(formatError(error), "start failed; and cleaning up after it failed, too: umount failed");
});

test("formatError tells every error of an AggregateError", () => {
  assert.equal(formatError(new AggregateError([new Error("a"), new Error("b")], "both failed")), "both failed: a; b");
});

test("formatError ends on a cause that is its own cause", () => {
  const error = new Error("loop");
  error.cause = error;
  assert.equal(formatError(error), "loop");
  assert.equal(formatError(undefined), "unknown error");
});

test("codeOf gives the outermost code, and says internal where there is none", () => {
  const bundle = new CaissonError("CAISSON_E_BUNDLE", "no bundle");
  assert.equal(codeOf(new Error("create failed", { cause: bundle })), "CAISSON_E_BUNDLE");
  assert.equal(codeOf(new CaissonError("CAISSON_E_VM_START", "no VM", { cause: bundle })), "CAISSON_E_VM_START");
  assert.equal(codeOf(missingFile()), "CAISSON_E_INTERNAL");
  assert.equal(codeOf("text"), "CAISSON_E_INTERNAL");
  const exhausted = Object.assign(new Error("open"), { code: "EMFILE", errno: -24, syscall: "open" });
  assert.equal(codeOf(new Error("no descriptor", { cause: exhausted })), "CAISSON_E_HOST");
});

test("exitCodeOf gives 127 and 126 for commands, also below other errors, else 1", () => {
  const missing = new CaissonError("CAISSON_E_COMMAND_NOT_FOUND", "no command");
  assert.equal(exitCodeOf(new Error("start failed", { cause: missing })), 127);
  assert.equal(exitCodeOf(new CaissonError("CAISSON_E_COMMAND_NOT_EXECUTABLE", "no x")), 126);
  assert.equal(exitCodeOf(new CaissonError("CAISSON_E_BUNDLE", "no bundle")), 1);
  assert.equal(exitCodeOf("text"), 1);
});
