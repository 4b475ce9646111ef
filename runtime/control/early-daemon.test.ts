import assert from "node:assert/strict";
import { test } from "node:test";
import { earlyTask, launchLog } from "./early-daemon.ts";
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

test("earlyTask() has what the daemon can do by itself, if the command line asks for it", () => {
  const taskOf = (line: string) => earlyTask(line.split(" "))?.launch;
  const { create, ...rest } = taskOf("--root /r --config c run -b b --pid-file p x") ?? assert.fail();
  const { asked, ...params } = create;
  const here = (path: string) => `${process.cwd()}/${path}`;
  assert.deepEqual(params, { root: "/r", id: "x", bundle: here("b"), config: here("c"), systemdCgroup: false });
  assert.equal(asked?.name, "caisson run");
  assert.deepEqual(rest, { pidFile: here("p"), starts: true, leaves: false });
  assert.equal(taskOf("run -d x")?.leaves, true);
  assert.deepEqual([taskOf("create x")?.starts, taskOf("create x")?.leaves], [false, true]);
  for (const line of ["--debug run x", "run --keep x", "run x y"]) {
    assert.ok(earlyTask(line.split(" ")), line);
    assert.equal(taskOf(line), undefined, line);
  }
  assert.equal(earlyTask(["kill", "x"]), undefined);
});
