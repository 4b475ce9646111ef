import assert from "node:assert/strict";
import { test } from "node:test";
import { CaissonError, type ErrorCode } from "../../protocol/errors.ts";
import { StatusCode, StatusError } from "../ttrpc/status.ts";
import { toStatus } from "./status.ts";

test("toStatus gives engines the codes that they act on", () => {
  const codes: [ErrorCode, number][] = [
    ["CAISSON_E_NOT_FOUND", StatusCode.notFound],
    ["CAISSON_E_ID_IN_USE", StatusCode.alreadyExists],
    ["CAISSON_E_STATE", StatusCode.failedPrecondition],
    ["CAISSON_E_CONFIG_INVALID", StatusCode.invalidArgument],
    ["CAISSON_E_CONFIG_UNSUPPORTED", StatusCode.unimplemented],
    ["CAISSON_E_VM_START", StatusCode.unknown],
  ];
  for (const [code, wanted] of codes) assert.equal(toStatus(new CaissonError(code, "why")).code, wanted, code);
});

test("toStatus tells the cause and the remedy", () => {
  const cause = new CaissonError("CAISSON_E_STORAGE", "the disk is full");
  const error = new CaissonError("CAISSON_E_VM_START", "Cannot start", { cause, remedy: "Make room." });
  assert.equal(toStatus(error).message, "Cannot start: the disk is full. Make room.");
});

test("toStatus leaves a status as it is and takes any error for unknown", () => {
  const status = new StatusError(StatusCode.aborted, "so it is");
  assert.equal(toStatus(status), status);
  assert.deepEqual([toStatus(new TypeError("a bug")).code, toStatus("text").message], [StatusCode.unknown, "text"]);
});
