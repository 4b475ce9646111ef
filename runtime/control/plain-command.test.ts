import assert from "node:assert/strict";
import { test } from "node:test";
import { plainCommand } from "./plain-command.ts";

const GLOBALS = {
  root: "/run/caisson",
  config: undefined,
  log: undefined,
  logFormat: "text",
  debug: false,
  systemdCgroup: false,
  trace: undefined,
};

test("plainCommand() tells the verb from the flags before it and the words after it", () => {
  assert.deepEqual(plainCommand(["kill", "--all", "x"]), { globals: GLOBALS, verb: "kill", words: ["--all", "x"] });
  const line =
    "--root /r --log=/l --log-format json --debug --systemd-cgroup --config c --trace /t --rootless auto state run";
  assert.deepEqual(plainCommand(line.split(" ")), {
    globals: {
      root: "/r",
      config: `${process.cwd()}/c`,
      log: "/l",
      logFormat: "json",
      debug: true,
      systemdCgroup: true,
      trace: "/t",
    },
    verb: "state",
    words: ["run"],
  });
});

test("plainCommand() leaves what is unusual or wrong to the command line's own parser", () => {
  for (const line of [
    "",
    "--root",
    "--help",
    "-v",
    "--unknown run x",
    "--debug=1 run x",
    "--log-format xml run x",
    "--rootless true run x",
    "-- run x",
  ]) {
    assert.equal(plainCommand(line.split(" ").filter(Boolean)), undefined, line);
  }
});
