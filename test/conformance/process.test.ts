/** config.md, Process: what a process is and may do, the same as under runc. One container for all. */
import assert from "node:assert/strict";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Process } from "../../protocol/oci.ts";
import { Bundle } from "../harness/bundle.ts";
import { sameAnswer } from "./compare.ts";
import { Pair, runcMissing } from "./pair.ts";

const options = { skip: runcMissing() ?? false };
// The number of open files is left to a test of its own: Go raises the soft limit of what runc starts.
const STATUS = [
  "grep -E '^(Umask|Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp|Sig(Blk|Ign|Cgt)):' /proc/self/status",
  "umask; id -u; id -g; id -G; pwd; env | sort; cat /proc/self/oom_score_adj",
  "grep -vE 'processes|pending signals|open files' /proc/self/limits; ls -l /proc/self/fd | cut -c1-10",
].join("; ");
const CAPABILITIES = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SYS_ADMIN"];
const USER = { uid: 1000, gid: 1001 };

const pair = new Pair();
const bundle = new Bundle(["sleep", "1000"]);
const base: Process = { ...bundle.process };
let id: string;

before(async () => {
  if (options.skip) return;
  for (const applet of ["cut", "env", "ls", "sort", "umask"]) link(applet);
  writeFileSync(join(bundle.rootfs, "etc/passwd"), "root:x:0:0:r:/root:/bin/sh\nu:x:1000:1001::/home/u:/bin/sh\n");
  // What exec may raise its limits to.
  base.rlimits = [{ type: "RLIMIT_NOFILE", soft: 1024, hard: 4096 }];
  bundle.process.rlimits = base.rlimits;
  id = await pair.start(bundle);
});
after(async () => {
  await pair[Symbol.asyncDispose]();
  bundle[Symbol.dispose]();
});

function link(applet: string): void {
  try {
    symlinkSync("busybox", join(bundle.rootfs, "bin", applet));
  } catch {
    // The bundle has it.
  }
}

const status = (changes: Partial<Process> = {}, script = STATUS): Process => ({
  ...base,
  args: ["sh", "-c", `${script}; true`],
  ...changes,
});
const all = (set: readonly string[]) => ({
  bounding: [...set],
  effective: [...set],
  permitted: [...set],
  inheritable: [...set],
  ambient: [...set],
});

const cases: Readonly<Record<string, Process>> = {
  plain: status(),
  "user, group and more groups": status({ user: { ...USER, additionalGids: [5, 6, 70000] } }),
  umask: status({ user: { uid: 0, gid: 0, umask: 0o77 } }),
  "capabilities of a user, ambient ones too": status({ user: USER, capabilities: all(CAPABILITIES) }),
  "ambient capabilities that are not inheritable": status({
    user: USER,
    capabilities: { ...all(CAPABILITIES), inheritable: [] },
  }),
  "five different sets": status({
    capabilities: {
      bounding: CAPABILITIES,
      effective: CAPABILITIES.slice(0, 1),
      permitted: CAPABILITIES.slice(0, 2),
      inheritable: CAPABILITIES.slice(0, 3),
      ambient: CAPABILITIES.slice(0, 1),
    },
  }),
  "no capabilities": status({ capabilities: {} }),
  "an unknown capability": status({ capabilities: { ...all(CAPABILITIES), bounding: ["CAP_NOPE", ...CAPABILITIES] } }),
  "new privileges allowed": status({ noNewPrivileges: false }),
  oomScoreAdj: status({ oomScoreAdj: 500 }),
  "lower limits": status({
    rlimits: ["CPU", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "LOCKS", "SIGPENDING", "MSGQUEUE"].map(
      (name, at) => ({
        type: `RLIMIT_${name}`,
        soft: 500 + at,
        hard: 600 + at,
      }),
    ),
  }),
  "limits on memory and files": status({
    rlimits: ["AS", "DATA", "STACK", "FSIZE", "RTTIME"].map((name) => ({
      type: `RLIMIT_${name}`,
      soft: 1_000_000_000,
      hard: 2_000_000_000,
    })),
  }),
  "no limit": status({ rlimits: [{ type: "RLIMIT_CORE", soft: 2n ** 64n - 1n, hard: 2n ** 64n - 1n }] }),
  "a limit above the container's own": status({ rlimits: [{ type: "RLIMIT_NOFILE", soft: 5000, hard: 100_000 }] }),
  "real-time limits": status({ rlimits: [{ type: "RLIMIT_NICE", soft: 10, hard: 20 }] }),
  "variables that come twice, are empty or hold =": status({ env: ["A=1", "A=2", "B=", "C=a=b", "PATH=/bin"] }),
  "HOME of the user": status({ env: ["PATH=/bin"], user: USER }),
  "HOME that is empty": status({ env: ["PATH=/bin", "HOME="] }),
  "HOME that is given": status({ env: ["PATH=/bin", "HOME=/x"] }),
  "no PATH": status({ env: [] }),
  cwd: status({ cwd: "/tmp" }),
  "a cwd that is not there": status({ cwd: "/nowhere" }),
  "a relative cwd": status({ cwd: "tmp" }),
  "arguments as they are": { ...base, args: ["/bin/busybox", "echo", "a b", "", "$c"] },
  "both streams": status({}, "echo out; echo err >&2"),
  "the exit status": status({}, "exit 7"),
  "the end by SIGKILL": status({}, "kill -KILL $$"),
  "the end by SIGTERM": status({}, "kill -TERM $$"),
  "a command that is not there": { ...base, args: ["nothere"] },
  "a path that is not there": { ...base, args: ["/not/there"] },
  "a file that cannot be run": { ...base, args: ["/etc/passwd"] },
  "a folder": { ...base, args: ["/etc"] },
  "no command": { ...base, args: [] },
  "an unknown limit": status({ rlimits: [{ type: "RLIMIT_FOO", soft: 1, hard: 1 }] }),
  "a limit twice": status({
    rlimits: [
      { type: "RLIMIT_CORE", soft: 1, hard: 1 },
      { type: "RLIMIT_CORE", soft: 2, hard: 2 },
    ],
  }),
  "a soft limit above the hard one": status({ rlimits: [{ type: "RLIMIT_CORE", soft: 2, hard: 1 }] }),
  "an impossible oomScoreAdj": status({ oomScoreAdj: 2000 }),
};

for (const [name, process] of Object.entries(cases)) {
  test(`exec: ${name}`, options, async () => {
    sameAnswer(`exec: ${name}`, await pair.exec(id, process));
  });
}

test("exec: stdin reaches the process", options, async () => {
  sameAnswer("exec: stdin", await pair.exec(id, status({}, "cat; echo end"), "line\n"));
});

const own = async (process: Process) => {
  const { caisson } = await pair.exec(id, process);
  return caisson;
};

test("exec: umask, oomScoreAdj and every limit are what was asked for", options, async () => {
  const names = "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME";
  const large = ["FSIZE", "DATA", "STACK", "AS"];
  const limits = names.split(" ").map((name, at) => {
    const soft = large.includes(name) ? 1_000_000_000 : 1000 + at;
    return { type: `RLIMIT_${name}`, soft, hard: soft + 1000 };
  });
  const script = "umask; cat /proc/self/oom_score_adj; tail -n +2 /proc/self/limits";
  const { stdout } = await own(
    status({ user: { uid: 0, gid: 0, umask: 0o27 }, oomScoreAdj: -300, rlimits: limits }, script),
  );
  const [umask, score, ...table] = stdout.trimEnd().split("\n");
  assert.deepEqual([umask, score], ["0027", "-300"]);
  const seen = table.map((line) => line.slice(26).trim().split(/ +/).slice(0, 2).map(Number));
  assert.deepEqual(
    seen,
    limits.map(({ soft, hard }) => [soft, hard]),
  );
});

/** /proc/PID/stat: fields 19, 40 and 41 (proc_pid_stat(5)). */
const SCHEDULING = "cut -d' ' -f19,40,41 /proc/$$/stat";

for (const [name, scheduler, expected] of [
  ["SCHED_OTHER", { policy: "SCHED_OTHER", nice: 7 }, "7 0 0"],
  ["SCHED_BATCH", { policy: "SCHED_BATCH", nice: -5 }, "-5 0 3"],
  ["SCHED_IDLE", { policy: "SCHED_IDLE" }, "0 0 5"],
  ["SCHED_FIFO", { policy: "SCHED_FIFO", priority: 9 }, "0 9 1"],
  ["SCHED_RR", { policy: "SCHED_RR", priority: 3 }, "0 3 2"],
] as const) {
  test(`exec: scheduler ${name}`, options, async () => {
    const result = await own(status({ scheduler }, SCHEDULING));
    assert.equal(result.stdout, `${expected}\n`, result.stderr);
  });
}

test("exec: SCHED_DEADLINE, whose processes may not fork unless the policy is reset then", options, async () => {
  const scheduler = {
    policy: "SCHED_DEADLINE" as const,
    flags: ["SCHED_FLAG_RESET_ON_FORK" as const],
    runtime: 10_000_000,
    deadline: 30_000_000,
    period: 30_000_000,
  };
  const result = await own(status({ scheduler }, SCHEDULING));
  assert.equal(result.stdout, "0 0 6\n", result.stderr);
});

test("exec: ioPriority", options, async () => {
  link("ionice");
  const process = status({ ioPriority: { class: "IOPRIO_CLASS_BE", priority: 6 } }, "ionice -p $$");
  assert.equal((await own(process)).stdout, "best-effort: prio 6\n");
});

test("exec: execCPUAffinity", options, async () => {
  const script = "grep Cpus_allowed_list /proc/self/status";
  const result = await own(status({ execCPUAffinity: { initial: "0", final: "0" } }, script));
  assert.equal(result.stdout, "Cpus_allowed_list:\t0\n", result.stderr);
});

test("exec: apparmorProfile is refused by name", options, async () => {
  const result = await own(status({ apparmorProfile: "x" }));
  assert.equal(result.exitCode, 255);
  assert.match(result.stderr, /process\.apparmorProfile: the guest's kernel runs without that security module/);
});

test("exec: what engines set by themselves for the host's security modules is left out", options, async () => {
  const result = await own(status({ apparmorProfile: "docker-default", selinuxLabel: "system_u:system_r:c_t:s0" }));
  assert.equal(result.exitCode, 0, result.stderr);
});

test("exec --cap: raised in the ambient set where the configuration has it inheritable", options, async () => {
  const given = ["--user", "1000", "--cap", "CAP_KILL", "--cap", "CAP_SYS_TIME"];
  sameAnswer("exec --cap", await pair.run(["exec", ...given, id, "grep", "Cap", "/proc/self/status"]));
});
