import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, test } from "node:test";
import { HOOK_NAMES, type Hook, type HookName, type State } from "../../protocol/oci.ts";
import { Bundle } from "../harness/bundle.ts";
import { detached, errorOf, Host, until } from "../harness/host.ts";

const host = new Host();
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "caisson-hooks-"));
});
afterEach(async () => {
  rmSync(folder, { recursive: true });
  const left = await host.remains();
  await host.clear();
  assert.deepEqual(left, []);
});
after(() => host[Symbol.asyncDispose]());

/** Goes from the state, which a hook reads, to the bundle. */
const IN_BUNDLE = 'state=$(cat); cd "$(echo "$state" | sed \'s/.*"bundle":"\\([^"]*\\)".*/\\1/\')"';

function executable(path: string, text: string): string {
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** A hook of the host that writes its name to the journal and its state to a file of that name. */
function recording(name: HookName, then = "true"): Hook[] {
  const text = `echo ${name} >> ${folder}/journal; cat > ${folder}/${name}; ${then}`;
  return [{ path: executable(join(folder, `hook-${name}`), text) }];
}

/** The same in the container, whose root is a folder of the host's. */
function recordingInside(bundle: Bundle, then = "true"): Hook[] {
  executable(join(bundle.rootfs, "hook"), `cat > /startContainer; hostname > /hostname; ${then}`);
  return [{ path: "/hook", env: ["PATH=/bin"] }];
}

function journal(): string[] {
  const path = join(folder, "journal");
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
}

const stateIn = (path: string): State => JSON.parse(readFileSync(path, "utf8"));

test("hooks run in their order, each where and with the state that the specification says", async () => {
  using bundle = new Bundle();
  bundle.spec.annotations = { "org.example.key": "value" };
  bundle.spec.hooks = {
    prestart: recording("prestart"),
    createRuntime: recording("createRuntime"),
    createContainer: [
      {
        path: executable(
          join(folder, "hook-createContainer"),
          // In the guest's root and the container's namespaces: the share has the bundle, the mounts are made.
          `${IN_BUNDLE}; ` +
            'echo "$state" > rootfs/createContainer; ' +
            "test -f config.json && test -d rootfs/proc/self && hostname >> rootfs/createContainer && " +
            "env -i sh -c 'touch rootfs/touched; PATH=/usr/bin:/bin; umask > rootfs/umask; cp rootfs/touched rootfs/made && chmod 640 rootfs/made'",
        ),
      },
    ],
    startContainer: recordingInside(bundle),
    poststart: recording("poststart"),
    poststop: recording("poststop"),
  };
  bundle.write();
  const id = host.id();
  await detached(host, ["create", "-b", bundle.directory, id]);
  assert.deepEqual(journal(), ["prestart", "createRuntime"]);
  const { pid } = JSON.parse(await host.ok(["state", id])) as State;
  const common = { ociVersion: "1.2.0", id, bundle: bundle.directory, annotations: bundle.spec.annotations };
  assert.deepEqual(stateIn(join(folder, "prestart")), { ...common, status: "created", pid });
  assert.deepEqual(stateIn(join(folder, "createRuntime")), { ...common, status: "creating", pid });
  await host.ok(["start", id]);
  assert.deepEqual(journal(), ["prestart", "createRuntime", "poststart"]);
  assert.deepEqual(stateIn(join(folder, "poststart")), { ...common, status: "running", pid });
  await host.ok(["delete", "--force", id]);
  assert.deepEqual(journal(), ["prestart", "createRuntime", "poststart", "poststop"]);
  assert.deepEqual(stateIn(join(folder, "poststop")), { ...common, status: "stopped" });
  // What the guest wrote is on the host for certain once the container has ended.
  const [inGuest = "", hostname] = readFileSync(join(bundle.rootfs, "createContainer"), "utf8").split("\n");
  const { bundle: guestBundle, ...rest } = JSON.parse(inGuest);
  assert.deepEqual({ ...rest, bundle: bundle.directory }, { ...common, status: "creating", pid: 1 });
  assert.match(guestBundle, /^\/run\/caisson\/share\//);
  assert.equal(hostname, "caisson");
  assert.equal(statSync(join(bundle.rootfs, "made")).mode & 0o777, 0o640);
  assert.equal(readFileSync(join(bundle.rootfs, "umask"), "utf8"), "0022\n");
  assert.deepEqual(stateIn(join(bundle.rootfs, "startContainer")), { ...common, status: "created", pid: 1 });
  assert.equal(readFileSync(join(bundle.rootfs, "hostname"), "utf8"), "caisson\n");
});

test("run runs poststart and poststop hooks for a process that ends at once", async () => {
  using bundle = new Bundle(["echo", "hello"]);
  bundle.spec.hooks = { poststart: recording("poststart", "sleep 1"), poststop: recording("poststop") };
  bundle.write();
  assert.equal(await host.ok(["run", "-b", bundle.directory, host.id()]), "hello\n");
  assert.deepEqual(journal(), ["poststart", "poststop"]);
});

for (const name of ["prestart", "createRuntime"] as const) {
  test(`a ${name} hook that fails fails create; what it began is undone`, async () => {
    using bundle = new Bundle();
    bundle.spec.hooks = { [name]: recording(name, "echo why >&2; exit 4"), poststop: recording("poststop") };
    bundle.write();
    const id = host.id();
    const result = await host.run(["create", "-b", bundle.directory, id]);
    assert.equal(result.exitCode, 1);
    assert.match(
      errorOf(result),
      new RegExp(`hooks\\.${name}\\[0\\] ".*": error running hook #0: the ${name} hook failed with exit code 4: why`),
    );
    assert.deepEqual(journal(), [name, "poststop"]);
    assert.equal((await host.run(["state", id])).exitCode, 1);
  });
}

test("a createContainer hook that fails fails create", async () => {
  using bundle = new Bundle();
  const hook = { path: executable(join(folder, "hook"), "echo why; exit 5"), timeout: 20 };
  bundle.spec.hooks = { createContainer: [hook], poststop: recording("poststop") };
  bundle.write();
  const result = await host.run(["create", "-b", bundle.directory, host.id()]);
  assert.equal(result.exitCode, 1);
  assert.match(errorOf(result), /hooks\.createContainer\[0\] ".*": error running hook #0: exit status 5: why/);
  assert.deepEqual(journal(), ["poststop"]);
});

test("a startContainer hook that fails fails start, and the process never runs", async () => {
  using bundle = new Bundle(["touch", "/ran"]);
  bundle.spec.hooks = { startContainer: recordingInside(bundle, "exit 6"), poststop: recording("poststop") };
  bundle.write();
  const id = host.id();
  await detached(host, ["create", "-b", bundle.directory, id]);
  const result = await host.run(["start", id]);
  assert.equal(result.exitCode, 1);
  assert.match(errorOf(result), /hooks\.startContainer\[0\] "\/hook": error running hook #0: exit status 6/);
  await host.stopped(id);
  assert.equal(existsSync(join(bundle.rootfs, "ran")), false);
  await host.ok(["delete", id]);
  assert.deepEqual(journal(), ["poststop"]);
});

test("a poststart hook that fails fails start, and the process is killed", async () => {
  using bundle = new Bundle();
  const [fails = { path: "" }] = recording("poststart", "exit 7");
  bundle.spec.hooks = { poststart: [fails, ...recording("createRuntime")], poststop: recording("poststop") };
  bundle.write();
  const id = host.id();
  await detached(host, ["create", "-b", bundle.directory, id]);
  const result = await host.run(["start", id]);
  assert.equal(result.exitCode, 1);
  assert.match(
    errorOf(result),
    /hooks\.poststart\[0\] ".*": error running hook #0: the poststart hook failed with exit code 7/,
  );
  await host.stopped(id);
  await host.ok(["delete", id]);
  assert.deepEqual(journal(), ["poststart", "poststop"]);

  const run = await host.run(["run", "-b", bundle.directory, host.id()]);
  assert.equal(run.exitCode, 1);
  assert.match(
    errorOf(run),
    /hooks\.poststart\[0\] ".*": error running hook #0: the poststart hook failed with exit code 7/,
  );
  assert.deepEqual(journal(), ["poststart", "poststop", "poststart", "poststop"]);
});

test("poststop hooks that fail change nothing", async () => {
  using bundle = new Bundle(["echo", "hello"]);
  bundle.spec.hooks = { poststop: recording("poststop", "exit 1") };
  bundle.write();
  assert.equal(await host.ok(["run", "-b", bundle.directory, host.id()]), "hello\n");
  assert.deepEqual(journal(), ["poststop"]);
});

test("a hook that takes too long is ended", async () => {
  using bundle = new Bundle();
  bundle.spec.hooks = { createRuntime: [{ path: "/bin/sleep", args: ["sleep", "60"], timeout: 1 }] };
  bundle.write();
  const result = await host.run(["create", "-b", bundle.directory, host.id()]);
  assert.match(
    errorOf(result),
    /hooks\.createRuntime\[0\] "\/bin\/sleep": error running hook #0: took longer than its timeout of 1 s/,
  );
});

test("what a createRuntime hook mounts is seen outside of the sandbox", async () => {
  using bundle = new Bundle();
  const target = join(folder, "target");
  const text = `mkdir ${target} && mount -t tmpfs none ${target} && touch ${target}/file`;
  const undo = `umount ${target}`;
  bundle.spec.hooks = {
    createRuntime: [{ path: executable(join(folder, "hook"), text), env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] }],
    poststop: [{ path: executable(join(folder, "undo"), undo) }],
  };
  bundle.write();
  const id = host.id();
  await detached(host, ["create", "-b", bundle.directory, id]);
  assert.equal(existsSync(join(target, "file")), true);
  await host.ok(["delete", "--force", id]);
  assert.equal(existsSync(join(target, "file")), false);
});

test("a hook without env has the runtime's environment, and one in the container the container's", async () => {
  using bundle = new Bundle(["true"]);
  executable(join(bundle.rootfs, "hook"), "env > /startContainer");
  bundle.process.env = ["PATH=/bin", "OF=the container"];
  bundle.spec.hooks = {
    createRuntime: [{ path: executable(join(folder, "hook"), `env > ${folder}/createRuntime`) }],
    startContainer: [{ path: "/hook" }],
  };
  bundle.write();
  await host.ok(["run", "-b", bundle.directory, host.id()], { env: { OF: "the runtime" } });
  assert.match(readFileSync(join(folder, "createRuntime"), "utf8"), /^OF=the runtime$/m);
  assert.match(readFileSync(join(bundle.rootfs, "startContainer"), "utf8"), /^OF=the container$/m);
});

test("a createContainer hook runs in the container's user namespace", async () => {
  using bundle = new Bundle(["true"]);
  const ids = [{ containerID: 0, hostID: 100_000, size: 1000 }];
  const { linux } = bundle.spec;
  const namespaces = [...(linux?.namespaces ?? []), { type: "user" as const }];
  bundle.spec.linux = { ...linux, namespaces, uidMappings: ids, gidMappings: ids };
  const script = `${IN_BUNDLE}; id -u > rootfs/tmp/hook; cat /proc/self/uid_map >> rootfs/tmp/hook`;
  bundle.spec.hooks = { createContainer: [{ path: executable(join(folder, "hook"), script) }] };
  bundle.write();
  chmodSync(bundle.directory, 0o755);
  chmodSync(join(bundle.rootfs, "tmp"), 0o777);
  await host.ok(["run", "-b", bundle.directory, host.id()]);
  const [uid, map] = readFileSync(join(bundle.rootfs, "tmp", "hook"), "utf8").split("\n");
  assert.deepEqual([uid, map?.trim().split(/\s+/)], ["0", ["0", "100000", "1000"]]);
});

for (const name of ["createRuntime", "createContainer", "startContainer", "poststart"] as const) {
  test(`delete --force ends a ${name} hook that has no timeout`, async () => {
    using bundle = new Bundle();
    const reached = join(bundle.rootfs, "reached");
    const text = `${IN_BUNDLE}; : > rootfs/reached; exec sleep 998`;
    executable(join(bundle.rootfs, "hook"), ": > /reached; exec sleep 998");
    const isInside = name === "startContainer";
    bundle.spec.hooks = {
      [name]: [{ path: isInside ? "/hook" : executable(join(folder, "hook"), text) }],
      poststop: recording("poststop"),
    };
    bundle.write();
    const id = host.id();
    const running = host.run(["run", "-b", bundle.directory, id]);
    await until(() => existsSync(reached));
    await host.ok(["delete", "--force", id]);
    assert.notEqual((await running).exitCode, 0);
    await until(() => journal().includes("poststop"));
    assert.deepEqual(await host.remains(), []);
  });
}

test("features lists all hooks", async () => {
  assert.deepEqual(JSON.parse(await host.ok(["features"])).hooks, [...HOOK_NAMES]);
});
