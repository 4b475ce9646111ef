import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import type { Seccomp } from "../../protocol/oci.ts";
import { Bundle } from "../harness/bundle.ts";
import { errorOf, Host, type Result } from "../harness/host.ts";

const host = new Host();
afterEach(async () => {
  const left = await host.remains();
  await host.clear();
  assert.deepEqual(left, []);
});
after(() => host[Symbol.asyncDispose]());

/** Runs the script in a shell under a filter, with and without no_new_privs: the filter is loaded at different times. */
async function run(script: string, seccomp: Partial<Seccomp>, noNewPrivileges: boolean): Promise<Result> {
  using bundle = new Bundle(["sh", "-c", script]);
  bundle.process.noNewPrivileges = noNewPrivileges;
  bundle.spec.linux = { ...bundle.spec.linux, seccomp: { defaultAction: "SCMP_ACT_ALLOW", ...seccomp } };
  bundle.write();
  return await host.run(["run", "-b", bundle.directory, host.id()]);
}

for (const noNewPrivileges of [true, false]) {
  const how = noNewPrivileges ? "with no_new_privs" : "without no_new_privs";

  test(`seccomp: a refused call fails with the errno that was asked for, ${how}`, async () => {
    const script = "grep Seccomp: /proc/self/status; mkdir /tmp/x; mkdir /tmp/x || touch /tmp/allowed && ls /tmp";
    const seccomp: Partial<Seccomp> = {
      syscalls: [{ names: ["mkdir", "mkdirat", "no_such_call"], action: "SCMP_ACT_ERRNO", errnoRet: 28 }],
    };
    const { stdout, stderr } = await run(script, seccomp, noNewPrivileges);
    assert.equal(stdout, "Seccomp:\t2\nallowed\n");
    assert.match(stderr, /No space left on device/);
  });

  test(`seccomp: a default that refuses, ${how}`, async () => {
    const names =
      "execve brk arch_prctl set_tid_address set_robust_list rseq prlimit64 readlink readlinkat getrandom mprotect prctl " +
      "mmap munmap getuid geteuid getgid getegid getpid getppid rt_sigaction rt_sigprocmask rt_sigreturn stat fstat lstat " +
      "newfstatat ioctl getcwd write writev exit exit_group uname fcntl dup2 close read open openat poll sendto sendmsg " +
      "setuid setgid setgroups capset chdir umask faccessat access fchown prlimit64 clone vfork fork wait4 capget";
    const seccomp: Partial<Seccomp> = {
      defaultAction: "SCMP_ACT_ERRNO",
      syscalls: [{ names: names.split(" "), action: "SCMP_ACT_ALLOW" }],
    };
    const { stdout, stderr, exitCode } = await run("echo here; hostname other; id -u", seccomp, noNewPrivileges);
    assert.equal(stdout, "here\n0\n", stderr);
    assert.match(stderr, /sethostname.*(Operation not permitted|EPERM)/i);
    assert.equal(exitCode, 0);
  });
}

test("seccomp: kill ends the process with SIGSYS", async () => {
  for (const action of ["SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"] as const) {
    const { exitCode, stdout } = await run(
      "echo before; exec mkdir /tmp/x",
      { syscalls: [{ names: ["mkdir"], action }] },
      true,
    );
    assert.deepEqual({ exitCode, stdout }, { exitCode: 128 + 31, stdout: "before\n" });
  }
});

test("seccomp: log lets the call through", async () => {
  const syscalls: Seccomp["syscalls"] = [{ names: ["mkdir"], action: "SCMP_ACT_LOG" }];
  const { stdout } = await run("mkdir /tmp/x && ls /tmp", { syscalls, flags: ["SECCOMP_FILTER_FLAG_LOG"] }, true);
  assert.equal(stdout, "x\n");
});

test("seccomp: only the call with that argument is refused", async () => {
  // kill(2): the second argument is the signal.
  const syscalls: Seccomp["syscalls"] = [
    { names: ["kill"], action: "SCMP_ACT_ERRNO", args: [{ index: 1, value: 10, op: "SCMP_CMP_EQ" }] },
  ];
  const script = "trap 'echo usr2' USR2; kill -USR1 $$ || echo refused; kill -USR2 $$";
  const { stdout, exitCode } = await run(script, { syscalls }, true);
  assert.deepEqual({ stdout, exitCode }, { stdout: "refused\nusr2\n", exitCode: 0 });
});

test("seccomp: processes that exec adds have the container's filter", async () => {
  using bundle = new Bundle();
  const seccomp: Seccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO", errnoRet: 13 }],
  };
  bundle.spec.linux = { ...bundle.spec.linux, seccomp };
  const id = await host.start(bundle.write());
  const result = await host.run(["exec", id, "mkdir", "/tmp/x"]);
  assert.equal(result.exitCode, 1);
  assert.match(result.stderr, /Permission denied/);
  await host.ok(["delete", "--force", id]);
});

test("seccomp: what cannot be carried out is refused by name", async () => {
  const syscalls: Seccomp["syscalls"] = [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }];
  const { stderr, exitCode, stdout } = await run("true", { listenerPath: "/run/listener.sock", syscalls }, true);
  assert.equal(exitCode, 1);
  assert.match(errorOf({ stderr, exitCode, stdout }), /linux\.seccomp\.listenerPath/);
});
