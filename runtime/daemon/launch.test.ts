import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { CaissonError } from "../../protocol/errors.ts";
import type { Launch } from "../control/protocol.ts";
import { defaultSpec } from "../oci/default-spec.ts";
import type { PlacedBundle } from "../sandbox/placement.ts";
import { launchContainer, requirePlain } from "./launch.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-launch-"));
after(() => rmSync(folder, { recursive: true }));

const RUN: Launch = { create: { root: "/r", id: "c1", bundle: "/b" }, pidFile: undefined, starts: true, leaves: false };

async function launched(launch: Launch, failing?: string): Promise<{ outcome: unknown; done: string[] }> {
  const done: string[] = [];
  const step = (name: string) => async () => {
    if (name === failing) throw new CaissonError("CAISSON_E_STATE", `no ${name}`);
    done.push(name);
  };
  const daemon = { create: step("create"), start: step("start"), detach: step("detach") };
  return { outcome: await launchContainer(launch, daemon), done };
}

test("launchContainer() does what the words ask for, and says what comes between", async () => {
  assert.deepEqual(await launched(RUN), { outcome: { started: true }, done: ["create", "start"] });
  assert.deepEqual(await launched({ ...RUN, leaves: true }), { outcome: {}, done: ["create", "start", "detach"] });
  assert.deepEqual(await launched({ ...RUN, starts: false, leaves: true }), {
    outcome: {},
    done: ["create", "detach"],
  });
  const { outcome, done } = await launched(RUN, "start");
  assert.deepEqual([(outcome as { error: CaissonError }).error.message, done], ["no start", ["create"]]);
});

test("launchContainer() writes the pid file when the container is created", async () => {
  const pidFile = join(folder, "pid");
  await launched({ ...RUN, pidFile }, "start");
  assert.equal(readFileSync(pidFile, "utf8"), String(process.pid));
  const { outcome, done } = await launched({ ...RUN, pidFile: join(folder, "none/pid") });
  assert.match((outcome as { error: CaissonError }).error.message, /cannot write the pid file .*none\/pid/);
  assert.deepEqual(done, ["create"]);
});

test("requirePlain() leaves to the command line what that has a part in", () => {
  const { process } = defaultSpec();
  const placed = (changes: object, kind = "own") =>
    ({ config: { process: { ...process, terminal: false }, ...changes }, placement: { kind } }) as PlacedBundle;
  const poststop = { hooks: { poststop: [{ path: "/bin/true" }] } };
  const create = { ...RUN, starts: false, leaves: true };
  for (const plain of [placed({}), placed({ hooks: { prestart: [], poststop: [] } })]) requirePlain(RUN, plain);
  requirePlain(create, placed(poststop));
  requirePlain(create, placed({}, "with"));
  for (const other of [placed({ process: { ...process, terminal: true } }), placed(poststop), placed({}, "pod")]) {
    assert.throws(() => requirePlain(RUN, other), CaissonError);
  }
  assert.throws(() => requirePlain(create, placed({ process: { ...process, terminal: true } })), CaissonError);
});
