import assert from "node:assert/strict";
import { test } from "node:test";
import { applyFlags, commandProcess, parseUser } from "./exec-process.ts";

const base = {
  terminal: true,
  consoleSize: { height: 24, width: 80 },
  user: { uid: 1, gid: 2, additionalGids: [3] },
  args: ["sh"],
  env: ["PATH=/bin", "TERM=xterm"],
  cwd: "/srv",
  capabilities: { bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"], ambient: ["CAP_KILL"] },
};

test("commandProcess keeps the container's process but for the command and the terminal", () => {
  const { consoleSize: _, ...rest } = base;
  assert.deepEqual(commandProcess(base, ["ls", "-l"], {}), { ...rest, args: ["ls", "-l"], terminal: false });
});

test("commandProcess gives a terminal with --tty", () => {
  assert.equal(commandProcess(base, ["sh"], { tty: true }).terminal, true);
});

test("applyFlags keeps a process file's own terminal", () => {
  assert.equal(applyFlags(base, {}).terminal, true);
});

test("applyFlags adds variables and lets a later one replace an earlier one", () => {
  const { env } = applyFlags(base, { env: ["TERM=dumb", "A=b=c"] });
  assert.deepEqual(env, ["PATH=/bin", "TERM=dumb", "A=b=c"]);
});

test("applyFlags changes the user and keeps the group when none is given", () => {
  assert.deepEqual(applyFlags(base, { user: "7" }).user, { uid: 7, gid: 2, additionalGids: [3] });
  assert.deepEqual(applyFlags(base, { user: "7:8", additionalGids: [9] }).user, {
    uid: 7,
    gid: 8,
    additionalGids: [3, 9],
  });
});

test("applyFlags adds capabilities to all sets but the inheritable", () => {
  const { capabilities } = applyFlags(base, { cap: ["net_admin", "CAP_KILL"] });
  assert.deepEqual(capabilities, {
    bounding: ["CAP_KILL", "CAP_NET_ADMIN"],
    effective: ["CAP_KILL", "CAP_NET_ADMIN"],
    permitted: ["CAP_KILL", "CAP_NET_ADMIN"],
    ambient: ["CAP_KILL", "CAP_NET_ADMIN"],
  });
});

test("applyFlags refuses a capability that nobody knows", () => {
  assert.throws(() => applyFlags(base, { cap: ["KILL", "unknown"] }), {
    code: "CAISSON_E_USAGE",
    message: /^--cap: "unknown" is not a capability/,
  });
});

test("applyFlags takes a process without user, environment or capabilities", () => {
  const process = applyFlags({ cwd: "/" }, { user: "1:1", env: ["A="], cap: ["KILL"], cwd: "/x", noNewPrivs: true });
  assert.deepEqual(process, {
    cwd: "/x",
    noNewPrivileges: true,
    user: { uid: 1, gid: 1 },
    env: ["A="],
    capabilities: {
      bounding: ["CAP_KILL"],
      effective: ["CAP_KILL"],
      permitted: ["CAP_KILL"],
      ambient: ["CAP_KILL"],
    },
  });
});

for (const env of ["NAME", "=value", ""]) {
  test(`applyFlags refuses the variable "${env}"`, () => {
    assert.throws(() => applyFlags(base, { env: [env] }), { code: "CAISSON_E_USAGE" });
  });
}

for (const text of ["root", "", "1:", ":1", "-1", "1:2:3", "1.5", "4294967295", "99999999999", "1 "]) {
  test(`parseUser refuses "${text}"`, () => assert.throws(() => parseUser(text), { code: "CAISSON_E_USAGE" }));
}
