import assert from "node:assert/strict";
import { test } from "node:test";
import { launchLog } from "./early-daemon.ts";
import { plainCommand } from "./plain-command.ts";

const PLAIN = { log: undefined, logFormat: "text", debug: false, trace: undefined };

function logOf(line: string) {
  const command = plainCommand(line.split(" "));
  assert.ok(command);
  return launchLog(command);
}

test("launchLog() is of a verb that creates a container", () => {
  assert.deepEqual(logOf("run -b /b x"), PLAIN);
  assert.deepEqual(logOf("--log /l --debug create x"), { ...PLAIN, log: "/l", debug: true });
});

test("launchLog() is of no other verb, and of none whose daemon has other streams or a trace's file to wait for", () => {
  for (const line of [
    "kill run",
    "run --help",
    "create -h",
    "run --console-socket /s x",
    "create --console-socket=/s x",
    "--trace /t run x",
  ]) {
    assert.equal(logOf(line), undefined, line);
  }
});
