import assert from "node:assert/strict";
import { chmodSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Capabilities, NamespaceType } from "../../protocol/oci.ts";
import { configOf, exec, failure, lines, NEEDS_ROOT, Rootfs, run, started } from "../../test/harness/agent/trial.ts";

const options = { skip: NEEDS_ROOT };
const namespaces = (["pid", "mount", "ipc", "uts"] as NamespaceType[]).map((type) => ({ type }));
const every = (names: string[]): Capabilities => ({ bounding: names, effective: names, permitted: names });

test("user, groups and umask", options, async () => {
  using rootfs = new Rootfs();
  const user = { uid: 1000, gid: 100, additionalGids: [7, 4000], umask: 0o27 };
  const script = "id -u; id -g; grep Groups /proc/self/status; umask; cd /tmp; touch f; stat -c %a:%u:%g f";
  mkdirSync(join(rootfs.path, "tmp"));
  chmodSync(join(rootfs.path, "tmp"), 0o777);
  const output = await lines(rootfs, script, { process: { user } });
  assert.deepEqual(output, ["1000", "100", "Groups:\t7 4000 ", "0027", "640:1000:100"]);
});

test("without a user the process is root with an umask of 0022 and no groups", options, async () => {
  using rootfs = new Rootfs();
  const output = await lines(rootfs, "id -u; id -g; grep Groups /proc/self/status; umask");
  assert.deepEqual(output, ["0", "0", "Groups:\t ", "0022"]);
});

test("without input stdin is the null device, and stays nobody's", options, async () => {
  using rootfs = new Rootfs();
  const config = configOf("stat -Lc '%t:%T %u' /proc/self/fd/0; stat -Lc %u /proc/self/fd/1; cat", {
    process: { user: { uid: 1000, gid: 100 } },
  });
  const { stdout } = await run(rootfs, config, { noStdin: true });
  assert.deepEqual(stdout.trimEnd().split("\n"), [`1:3 ${statSync("/dev/null").uid}`, "1000"]);
});

test("capabilities: all five sets, for root and for a user", options, async () => {
  using rootfs = new Rootfs();
  const sets = async (capabilities: Capabilities | undefined, uid: number) => {
    const output = await lines(rootfs, "grep ^Cap /proc/self/status", {
      process: { capabilities, user: { uid, gid: uid } },
    });
    return Object.fromEntries(output.map((line) => [line.slice(3, 6), BigInt(`0x${line.slice(7).trim()}`)]));
  };
  const [chown, netBind, kill] = [1n << 0n, 1n << 10n, 1n << 5n];
  const none = { Inh: 0n, Prm: 0n, Eff: 0n, Bnd: 0n, Amb: 0n };
  assert.deepEqual(await sets(undefined, 0), none);
  assert.deepEqual(await sets(every(["CAP_CHOWN", "CAP_KILL"]), 0), {
    ...none,
    Prm: chown | kill,
    Eff: chown | kill,
    Bnd: chown | kill,
  });
  assert.deepEqual(await sets(every(["CAP_CHOWN"]), 1000), { ...none, Bnd: chown });
  const names = ["CAP_NET_BIND_SERVICE"];
  const ambient = { ...every(names), inheritable: names, ambient: names };
  assert.deepEqual(await sets(ambient, 1000), { Inh: netBind, Prm: netBind, Eff: netBind, Bnd: netBind, Amb: netBind });
});

test("no_new_privs, OOM score, limits, scheduling and execution domain", options, async () => {
  using rootfs = new Rootfs();
  const process = {
    noNewPrivileges: true,
    oomScoreAdj: 321,
    rlimits: [
      { type: "RLIMIT_NOFILE", soft: 100, hard: 200 },
      { type: "RLIMIT_CORE", soft: 0, hard: 0 },
    ],
    scheduler: { policy: "SCHED_BATCH" as const, nice: 5 },
    ioPriority: { class: "IOPRIO_CLASS_BE" as const, priority: 6 },
  };
  const linux = { namespaces, personality: { domain: "LINUX32" as const } };
  const script =
    "grep NoNewPrivs /proc/self/status; cat /proc/self/oom_score_adj; ulimit -Sn; ulimit -Hn; ulimit -c; ionice; set -- $(cat /proc/self/stat); shift 18; echo $1; uname -m";
  const output = await lines(rootfs, script, { process, linux });
  assert.deepEqual(output, ["NoNewPrivs:\t1", "321", "100", "200", "0", "best-effort: prio 6", "5", "i686"]);
});

test("the working directory is made, and may be one that only root can enter", options, async () => {
  using rootfs = new Rootfs();
  mkdirSync(join(rootfs.path, "private"), { mode: 0o700 });
  assert.deepEqual(await lines(rootfs, "pwd", { process: { cwd: "/new/folder" } }), ["/new/folder"]);
  assert.deepEqual(await lines(rootfs, "pwd", { process: { cwd: "/private", user: { uid: 5, gid: 5 } } }), [
    "/private",
  ]);
});

test("a working directory outside the container is refused", options, async () => {
  using rootfs = new Rootfs();
  const config = configOf("", { process: { args: ["sleep", "1000"] } });
  const { trial, pid } = await started(rootfs, config);
  await using _ = trial;
  for (const cwd of ["/proc/self/fd/5", "/proc/self/fd/6", "/proc/self/fd/7"]) {
    const { error, stdout } = await exec(config, pid, { args: ["pwd"], cwd });
    assert.equal(stdout, "");
    assert.match(
      error?.message ?? "",
      /^process\.cwd "\/proc\/self\/fd\/\d": changing to the working directory \(chdir\) failed: /,
    );
  }
});

test("a program is looked for in the container's PATH, as the user", options, async () => {
  using rootfs = new Rootfs();
  rootfs.file("first/tool", "#!/bin/sh\necho first\n", 0o644);
  rootfs.file("second/tool", "#!/bin/sh\necho second $0\n", 0o755);
  mkdirSync(join(rootfs.path, "third/tool"), { recursive: true });
  const tool = (path: string, name = "tool") =>
    run(rootfs, configOf("", { process: { args: [name], env: [`PATH=${path}`] } }));
  assert.equal((await tool("/first:/third:/second")).stdout, "second /second/tool\n");
  assert.equal((await tool("", "/second/tool")).stdout, "second /second/tool\n");
  const denied = await tool("/nowhere:/first");
  assert.equal(denied.error?.code, "CAISSON_E_COMMAND_NOT_EXECUTABLE");
  assert.equal(
    denied.error?.message,
    `process.args[0] "tool": finding the executable failed: permission denied (EACCES)`,
  );
  const missing = await tool("/bin", "absent");
  assert.equal(missing.error?.code, "CAISSON_E_COMMAND_NOT_FOUND");
  assert.equal(
    missing.error?.message,
    `process.args[0] "absent": finding the executable failed: no such file or directory (ENOENT)`,
  );
  assert.match(await failure(rootfs, { process: { args: ["/absent/tool"] } }), /^CAISSON_E_COMMAND_NOT_FOUND/);
  assert.match(await failure(rootfs, { process: { args: ["/third"] } }), /^CAISSON_E_COMMAND_NOT_EXECUTABLE/);
});

test("a file that is no program fails at the start", options, async () => {
  using rootfs = new Rootfs();
  rootfs.file("bin/text", "no program", 0o755);
  rootfs.file("bin/orphan", "#!/absent/interpreter\n", 0o755);
  assert.equal(
    await failure(rootfs, { process: { args: ["text"] } }),
    `CAISSON_E_COMMAND_NOT_EXECUTABLE process.args[0] "text": executing the program failed: exec format error (ENOEXEC)`,
  );
  assert.match(
    await failure(rootfs, { process: { args: ["orphan"] } }),
    /^CAISSON_E_COMMAND_NOT_FOUND .* executing the program failed/,
  );
});

test("the environment is exactly the given one, and HOME", options, async () => {
  using rootfs = new Rootfs();
  rootfs.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nsome:x:77:77::/home/some:/bin/sh\nbad line\n");
  const env = async (uid: number, ...more: string[]) => {
    const process = { args: ["env"], env: ["PATH=/bin", "A=1", "A=2", "B=", ...more], user: { uid, gid: uid } };
    return (await run(rootfs, configOf("", { process }))).stdout.trimEnd().split("\n");
  };
  assert.deepEqual(await env(77), ["PATH=/bin", "A=2", "B=", "HOME=/home/some"]);
  assert.deepEqual(await env(78), ["PATH=/bin", "A=2", "B=", "HOME=/"]);
  assert.deepEqual(await env(0, "HOME=/given"), ["PATH=/bin", "A=2", "B=", "HOME=/given"]);
});

test("exit statuses and signals are reported as they are", options, async () => {
  using rootfs = new Rootfs();
  const exit = async (script: string) => (await run(rootfs, configOf(script))).exit;
  assert.deepEqual(await exit("exit 0"), { exitCode: 0, signal: 0 });
  assert.deepEqual(await exit("exit 255"), { exitCode: 255, signal: 0 });
  // A shell that is pid 1 cannot be killed by a signal of its own namespace.
  const config = configOf("", { process: { args: ["sleep", "1000"] } });
  const { trial, pid } = await started(rootfs, config);
  await using _ = trial;
  process.kill(pid, "SIGKILL");
  assert.deepEqual(await trial.next(), { type: "exited", exitCode: 137, signal: 9 });
});

test("the program inherits stdio and no other descriptor, no blocked and no ignored signal", options, async () => {
  using rootfs = new Rootfs();
  const of = async (...args: string[]) =>
    (await run(rootfs, configOf("", { process: { args } }))).stdout.trimEnd().split("\n");
  // ls has the folder itself open.
  assert.deepEqual(await of("ls", "/proc/self/fd"), ["0", "1", "2", "3"]);
  assert.deepEqual(await of("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"), [
    "SigBlk:\t0000000000000000",
    "SigIgn:\t0000000000000000",
  ]);
});

test("stdio belongs to the user", options, async () => {
  using rootfs = new Rootfs();
  const output = await lines(rootfs, "stat -L -c %u /proc/self/fd/0 /proc/self/fd/1", {
    process: { user: { uid: 1234, gid: 1 } },
  });
  assert.deepEqual(output, ["1234", "1234"]);
});

/** Refuses mkdir with EPERM (x86-64: 83), allows the rest. */
function refuseMkdir(): Uint8Array {
  return instructions([
    [0x20, 0, 0, 0], // load the number
    [0x15, 0, 1, 83], // if it is mkdir
    [0x06, 0, 0, 0x00050001], // errno 1
    [0x06, 0, 0, 0x7fff0000], // allow
  ]);
}

function instructions(list: readonly (readonly [code: number, jt: number, jf: number, k: number])[]): Uint8Array {
  const program = Buffer.alloc(8 * list.length);
  list.forEach(([code, jt, jf, k], index) => {
    program.writeUInt16LE(code, 8 * index);
    program.writeUInt8(jt, 8 * index + 2);
    program.writeUInt8(jf, 8 * index + 3);
    program.writeUInt32LE(k, 8 * index + 4);
  });
  return program;
}

test("a system call filter is loaded, with and without no_new_privs", options, async () => {
  using rootfs = new Rootfs();
  for (const noNewPrivileges of [true, false]) {
    const config = configOf("grep Seccomp: /proc/self/status; mkdir /x", { process: { noNewPrivileges } });
    const { stdout, stderr, error } = await run(rootfs, config, { seccomp: { program: refuseMkdir(), flags: 0 } });
    assert.equal(error, undefined);
    assert.equal(stdout, "Seccomp:\t2\n");
    assert.match(stderr, /mkdir: .*Operation not permitted/);
  }
});

test("a filter that the kernel refuses is an error, and nothing runs", options, async () => {
  using rootfs = new Rootfs();
  const seccomp = { program: Buffer.alloc(8), flags: 0 };
  for (const [noNewPrivileges, message] of [
    [false, "linux.seccomp: loading the system call filter failed: invalid argument (EINVAL)"],
    [true, /executing the program failed: invalid argument \(EINVAL\): loading the system call filter/],
  ] as const) {
    const { error, stdout } = await run(rootfs, configOf("echo ran", { process: { noNewPrivileges } }), { seccomp });
    if (typeof message === "string") assert.equal(error?.message, message);
    else assert.match(error?.message ?? "", message);
    assert.equal(stdout, "");
  }
});

test("with no_new_privs a filter need allow no more of the way into the program than execve", options, async () => {
  using rootfs = new Rootfs();
  // Everything but execve (59) kills; the program dies of its first call, not container-init of one of its own.
  const program = instructions([
    [0x20, 0, 0, 0],
    [0x15, 0, 1, 59],
    [0x06, 0, 0, 0x7fff0000],
    [0x06, 0, 0, 0x80000000],
  ]);
  const config = configOf("echo ran", { process: { noNewPrivileges: true } });
  const { error, stdout, exit } = await run(rootfs, config, { seccomp: { program, flags: 0 } });
  assert.equal(error, undefined);
  assert.deepEqual(exit, { exitCode: 128 + 31, signal: 31 });
  assert.equal(stdout, "");
});

test(
  "exec has a user, a directory, capabilities and CPUs of its own, and the container's capabilities by default",
  options,
  async () => {
    using rootfs = new Rootfs();
    const config = configOf("", { process: { args: ["sleep", "1000"], capabilities: every(["CAP_CHOWN"]) } });
    const { trial, pid } = await started(rootfs, config);
    await using _ = trial;
    const script = "id -u; pwd; grep -E '^(CapBnd|Cpus_allowed_list)' /proc/self/status";
    const added = { args: ["sh", "-c", script], cwd: "/bin", execCPUAffinity: { initial: "0", final: "0" } };
    const first = await exec(config, pid, { ...added, user: { uid: 9, gid: 9 } });
    assert.equal(first.error, undefined);
    assert.deepEqual(first.stdout.trimEnd().split("\n"), [
      "9",
      "/bin",
      "CapBnd:\t0000000000000001",
      "Cpus_allowed_list:\t0",
    ]);
    const second = await exec(config, pid, { ...added, capabilities: every(["CAP_KILL"]) });
    assert.match(second.stdout, /CapBnd:\t0000000000000020/);
  },
);
