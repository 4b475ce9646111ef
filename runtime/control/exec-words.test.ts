import assert from "node:assert/strict";
import { test } from "node:test";
import { execWords } from "./exec-words.ts";

const read = (line: string) => execWords(line.split(" "));
const DEFAULTS = { newPrivs: true, preserveFds: "0" };

test("execWords() reads an exec as engines and people write it", () => {
  assert.deepEqual(read("x ls -l --all"), { id: "x", args: ["ls", "-l", "--all"], flags: DEFAULTS });
  assert.deepEqual(read("--process=p.json -d --pid-file pid x"), {
    id: "x",
    args: [],
    flags: { ...DEFAULTS, process: "p.json", detach: true, pidFile: "pid" },
  });
  assert.deepEqual(read("-e A=b -t --env C=d=e -u 1:2 --cwd / x sh"), {
    id: "x",
    args: ["sh"],
    flags: { ...DEFAULTS, env: ["A=b", "C=d=e"], tty: true, user: "1:2", cwd: "/" },
  });
  assert.deepEqual(read("-p p --console-socket s x")?.flags, { ...DEFAULTS, process: "p", consoleSocket: "s" });
});

test("execWords() leaves what is unusual or wrong to the command line's own parser", () => {
  for (const line of [
    ...[
      "--help",
      "-h",
      "-h x true",
      "-- x true",
      "-td x sh",
      "-uroot x sh",
      "--detach=yes x true",
      "-d",
      "--cwd",
      "-e=A=b x",
    ],
    ...["--cap CAP_KILL x true", "--no-new-privs x true", "--preserve-fds 1 x true", "-g 1 x true", "--toString x y"],
  ]) {
    assert.equal(read(line), undefined, line);
  }
});
