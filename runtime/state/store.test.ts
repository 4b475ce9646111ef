import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import fc from "fast-check";
import { CaissonError, type ErrorCode } from "../../protocol/errors.ts";
import { statePaths } from "./paths.ts";
import { processIdentity } from "./process-identity.ts";
import { ociState, runcState, type StateRecord } from "./record.ts";
import { listStates, readFormerState, readState, removeState, reserveState, writeState } from "./store.ts";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "caisson-state-"));
});
afterEach(() => rmSync(root, { recursive: true }));

const self = processIdentity();
assert.ok(self);

function record(id: string, changes: Partial<StateRecord> = {}): StateRecord {
  return {
    id,
    status: "created",
    bundle: "/bundles/a",
    rootfs: "/bundles/a/rootfs",
    annotations: { "org.example": "x" },
    created: "2026-11-22T03:00:00.000Z",
    owner: "root",
    daemon: self as NonNullable<typeof self>,
    cgroup: `/caisson/${id}`,
    ...changes,
  };
}

function refusal(run: () => unknown): CaissonError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof CaissonError, String(error));
    return error;
  }
  throw new Error("nothing was thrown");
}

function refused(code: ErrorCode, run: () => unknown): void {
  assert.equal(refusal(run).code, code);
}

test("readState gives what reserveState and writeState wrote", () => {
  reserveState(root, record("a", { status: "creating" }));
  assert.deepEqual(readState(root, "a"), record("a", { status: "creating" }));
  writeState(root, record("a", { status: "running", guestPid: 7 }));
  assert.deepEqual(readState(root, "a"), record("a", { status: "running", guestPid: 7 }));
  assert.deepEqual(readdirSync(join(root, "a")), ["state.json", "state.json.former"]);
});

test("reserveState makes the root for its owner only", () => {
  const inner = join(root, "not", "there");
  reserveState(inner, record("a"));
  assert.equal(readState(inner, "a").id, "a");
});

test("reserveState refuses an id that is in use and leaves it as it was", () => {
  reserveState(root, record("a"));
  const error = refusal(() => reserveState(root, record("a", { bundle: "/other" })));
  assert.equal(error.code, "CAISSON_E_ID_IN_USE");
  assert.match(error.message, /"a" exists already/);
  assert.equal(readState(root, "a").bundle, "/bundles/a");
  assert.deepEqual(readdirSync(root), ["a"]);
});

test("reserveState refuses ids that are no plain names before it touches anything", () => {
  for (const id of ["", ".", "..", "a/b", "../a", "~new-1-1", "a b", "ä", "a".repeat(256)]) {
    refused("CAISSON_E_ID_INVALID", () => reserveState(root, record(id)));
    refused("CAISSON_E_ID_INVALID", () => readState(root, id));
    refused("CAISSON_E_ID_INVALID", () => removeState(root, id));
  }
  assert.deepEqual(readdirSync(root), []);
});

test("reserveState takes every id that runc takes, up to 255 characters", () => {
  for (const id of ["a", "A_b+c-d.e", ".hidden", "-dash", "a".repeat(255)]) reserveState(root, record(id));
  assert.equal(listStates(root, assert.fail).length, 5);
});

test("reserveState keeps whatever id to its root: it is refused, or it is the name of one directory there", () => {
  const likely = fc.string({ unit: fc.constantFrom(..."./~ab-_+\0 \n"), maxLength: 6 });
  fc.assert(
    fc.property(fc.oneof(likely, fc.string()), (id) => {
      const before = readdirSync(root);
      if (before.includes(id)) return;
      try {
        reserveState(root, record(id));
      } catch (error) {
        assert.ok(error instanceof CaissonError && error.code === "CAISSON_E_ID_INVALID", String(error));
        assert.deepEqual(readdirSync(root), before);
        return;
      }
      assert.deepEqual(readdirSync(root).sort(), [...before, id].sort());
      assert.equal(readState(root, id).id, id);
    }),
  );
});

test("readState calls a container stopped when its daemon is gone, is another process, or was before a reboot", () => {
  const dead = spawnSync("true").pid;
  const daemon = record("x").daemon;
  for (const [index, gone] of [
    { ...daemon, pid: dead },
    { ...daemon, startTime: daemon.startTime - 1 },
    { ...daemon, bootId: "00000000-0000-0000-0000-000000000000" },
  ].entries()) {
    const id = `gone${index}`;
    reserveState(root, record(id, { status: "running", daemon: gone }));
    assert.equal(readState(root, id).status, "stopped");
    assert.equal(ociState(readState(root, id)).pid, 0);
  }
});

test("readState names an unknown container", () => {
  const error = refusal(() => readState(root, "nobody"));
  assert.equal(error.code, "CAISSON_E_NOT_FOUND");
  assert.match(error.message, /container "nobody" does not exist/);
  refused("CAISSON_E_NOT_FOUND", () => readState(join(root, "no", "root"), "nobody"));
});

test("readState refuses a record that is damaged or of another format", () => {
  mkdirSync(join(root, "a"));
  const path = statePaths(root, "a").record;
  for (const text of ["", "{", "5", "null", "{}", '{"format":2}', '{"format":1,"id":"a"}']) {
    writeFileSync(path, text);
    const error = refusal(() => readState(root, "a"));
    assert.equal(error.code, "CAISSON_E_STORAGE", text);
    assert.match(error.message, /state record/);
  }
});

test("listStates sorts by id, passes over what is no container, and tells which records it cannot read", () => {
  reserveState(root, record("b"));
  reserveState(root, record("a"));
  mkdirSync(join(root, "empty"));
  mkdirSync(join(root, "damaged"));
  writeFileSync(join(root, "damaged", "state.json"), "{");
  writeFileSync(join(root, "lock"), "");
  const skipped: string[] = [];
  assert.deepEqual(
    listStates(root, (reason) => skipped.push(reason)).map(({ id }) => id),
    ["a", "b"],
  );
  assert.equal(skipped.length, 1);
  assert.match(skipped[0] ?? "", /damaged is left out: cannot use the state record/);
});

test("listStates finds nothing where there is no root", () => {
  assert.deepEqual(listStates(join(root, "nowhere"), assert.fail), []);
});

test("removeState removes everything, and again nothing", () => {
  reserveState(root, record("a"));
  writeFileSync(statePaths(root, "a").consoleLog, "text");
  removeState(root, "a");
  assert.deepEqual(readdirSync(root), []);
  removeState(root, "a");
  removeState(join(root, "nowhere"), "a");
});

test("readFormerState has the record before its last change, for one that is damaged or gone", () => {
  reserveState(root, record("a"));
  assert.equal(readFormerState(root, "a"), undefined);
  writeState(root, record("a", { status: "created", cgroup: "/mine" }));
  writeState(root, record("a", { status: "running", cgroup: "/mine" }));
  writeFileSync(join(root, "a", "state.json"), "\0\0\0");
  assert.equal(readFormerState(root, "a")?.status, "created");
  assert.equal(readFormerState(root, "a")?.cgroup, "/mine");
  rmSync(join(root, "a", "state.json"));
  assert.equal(readFormerState(root, "a")?.status, "created");
  removeState(root, "a");
  assert.deepEqual(readdirSync(root), []);
});

test("removeState removes a directory with a damaged record, and an empty one", () => {
  mkdirSync(join(root, "a"));
  writeFileSync(statePaths(root, "a").record, "{");
  mkdirSync(join(root, "b"));
  removeState(root, "a");
  removeState(root, "b");
  assert.deepEqual(readdirSync(root), []);
});

test("removeState leaves a directory alone that is no container's", () => {
  mkdirSync(join(root, "templates", "x"), { recursive: true });
  refused("CAISSON_E_STORAGE", () => removeState(root, "templates"));
  refused("CAISSON_E_ID_IN_USE", () => reserveState(root, record("templates")));
  assert.ok(existsSync(join(root, "templates", "x")));
});

test("reserveState and removeState sweep up what killed processes left", () => {
  const dead = spawnSync("true").pid;
  for (const kind of ["new", "old"]) {
    mkdirSync(join(root, `~${kind}-${dead}-0`));
    writeFileSync(join(root, `~${kind}-${dead}-0`, "state.json"), "{");
  }
  mkdirSync(join(root, `~new-1-0`));
  reserveState(root, record("a"));
  assert.deepEqual(readdirSync(root).sort(), ["a", "~new-1-0"]);
});

test("reserveState tells what is wrong with the root", () => {
  const file = join(root, "file");
  writeFileSync(file, "");
  const error = refusal(() => reserveState(file, record("a")));
  assert.equal(error.code, "CAISSON_E_STORAGE");
  assert.match(error.message, /cannot make the state directory/);
});

test("reserveState tells a full disk and leaves nothing", { skip: process.getuid?.() !== 0 }, () => {
  const script = `
    mount -t tmpfs -o size=4k,nr_inodes=2 tmpfs "$1" || exit 99
    "$2" --input-type=module -e '
      const { reserveState } = await import(process.argv[1]);
      try { reserveState(process.argv[2], JSON.parse(process.argv[3])); } catch (e) { console.log(e.code, e.message, e.remedy); }
      const { readdirSync } = await import("node:fs");
      console.log(readdirSync(process.argv[2]).length);
    ' "$3" "$1" "$4"`;
  const store = join(import.meta.dirname, "store.ts");
  const run = spawnSync("unshare", [
    ...["--mount", "sh", "-c", script, "sh", root, process.execPath, store, JSON.stringify(record("a"))],
  ]);
  assert.match(
    run.stdout.toString(),
    /^CAISSON_E_STORAGE cannot make the state directory .*no space left on device \(ENOSPC\) Free space.*\n0\n$/,
    run.stderr.toString(),
  );
});

test("removeState refuses while something is mounted below", { skip: process.getuid?.() !== 0 }, () => {
  reserveState(root, record("a"));
  const { share } = statePaths(root, "a");
  mkdirSync(share);
  const precious = join(root, "~keep");
  mkdirSync(precious);
  writeFileSync(join(precious, "file"), "");
  const script = `
    mount --bind "$1" "$2" || exit 99
    "$3" --input-type=module -e '
      const { removeState } = await import(process.argv[1]);
      try { removeState(process.argv[2], "a"); } catch (e) { console.log(e.code, e.message); }
    ' "$4" "$5"`;
  const store = join(import.meta.dirname, "store.ts");
  const run = spawnSync("unshare", [
    ...["--mount", "sh", "-c", script, "sh", precious, share, process.execPath, store, root],
  ]);
  assert.match(
    run.stdout.toString(),
    /^CAISSON_E_STORAGE cannot remove .*share is still mounted/,
    run.stderr.toString(),
  );
  assert.ok(existsSync(join(precious, "file")));
  assert.equal(readState(root, "a").id, "a");
});

test("ociState has exactly the specification's properties", () => {
  assert.deepEqual(ociState(record("a", { status: "running", guestPid: 3, exitCode: 1 })), {
    ociVersion: "1.2.0",
    id: "a",
    status: "running",
    pid: process.pid,
    bundle: "/bundles/a",
    annotations: { "org.example": "x" },
  });
  assert.equal("annotations" in ociState(record("a", { annotations: undefined })), false);
});

test("writeState does not leave its temporary file when it fails", () => {
  reserveState(root, record("a"));
  mkdirSync(join(root, "b"));
  mkdirSync(statePaths(root, "b").record);
  refused("CAISSON_E_STORAGE", () => writeState(root, record("b")));
  assert.deepEqual(readdirSync(join(root, "b")), ["state.json"]);
  refused("CAISSON_E_STORAGE", () => writeState(root, record("gone")));
});

test("reserveState lets nobody but the owner read what it makes", () => {
  reserveState(root, record("a"));
  const { directory, record: path } = statePaths(root, "a");
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("runcState has what runc prints, in its order", () => {
  const given = record("a", { status: "running", annotations: { key: "value" } });
  assert.deepEqual(Object.keys(runcState(given, "")), [
    ...["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "annotations", "owner"],
  ]);
  assert.equal("annotations" in runcState(record("a", { annotations: undefined }), "root"), false);
});
