import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { CaissonError } from "../../protocol/errors.ts";
import { Cgroup } from "../cgroups/cgroup.ts";
import { inCgroup } from "./exec-cgroup.ts";

const root = mkdtempSync(join(tmpdir(), "caisson-cgroups-"));
mkdirSync(join(root, "c/init/deep"), { recursive: true });
after(() => rmSync(root, { recursive: true }));

/** The container's cgroup; its init is in that one. */
function containers(initIn: string | undefined): Cgroup {
  const cgroup = new Cgroup(join(root, "c"));
  cgroup.pathOf = () => initIn;
  return cgroup;
}
const busy = (path: string) => {
  throw new CaissonError("CAISSON_E_PROCESS_SETUP", `${path} is busy`, { field: "linux.cgroupsPath" });
};

test("inCgroup takes init's cgroup when the container's takes no processes", async () => {
  const path = join(root, "c/init");
  const tried: string[] = [];
  const launch = async (each: string) => {
    tried.push(each);
    return each.endsWith("/c") ? busy(each) : each;
  };
  const joined = { root, told: "", initPid: 1 };
  assert.equal(await inCgroup({ ...joined, cgroup: containers(path) }, launch), path);
  assert.deepEqual(tried, [join(root, "c"), path]);
  // Init is in it itself, has ended, or is elsewhere.
  for (const initIn of [join(root, "c"), undefined]) {
    await assert.rejects(inCgroup({ ...joined, cgroup: containers(initIn) }, launch), { field: "linux.cgroupsPath" });
  }
});

test("inCgroup leaves other failures and a cgroup that was told alone", async () => {
  const cgroup = containers(join(root, "c/init"));
  const other = async () => {
    throw new CaissonError("CAISSON_E_COMMAND_NOT_FOUND", "no such command");
  };
  await assert.rejects(inCgroup({ cgroup, root, told: "", initPid: 1 }, other), {
    code: "CAISSON_E_COMMAND_NOT_FOUND",
  });
  await assert.rejects(
    inCgroup({ cgroup, root, told: "/", initPid: 1 }, async (path) => busy(path)),
    {
      message: /c is busy/,
    },
  );
});

test("inCgroup finds a cgroup that is told below the container's own, and no other", async () => {
  const cgroup = containers(undefined);
  const launch = async (path: string) => path.slice(root.length);
  const at = (told: string) => inCgroup({ cgroup, root, told, initPid: 1 }, launch);
  assert.equal(await at("/"), "/c");
  assert.equal(await at("init"), "/c/init");
  assert.equal(await at("/init//deep/./"), "/c/init/deep");
  for (const wrong of ["..", "init/../..", "none", "/init/none"]) {
    await assert.rejects(at(wrong), { code: "CAISSON_E_CGROUP" }, wrong);
  }
});

test("Cgroup.pathOf is the cgroup of a process only if it is the cgroup's own or below it", () => {
  const self = new Cgroup("").pathOf(process.pid, "");
  assert.ok(self?.startsWith("/"));
  assert.equal(new Cgroup("/elsewhere").pathOf(process.pid, ""), undefined);
  assert.equal(new Cgroup("").pathOf(4_194_305, ""), undefined);
});
