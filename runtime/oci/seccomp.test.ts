import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Seccomp, SeccompArgument, SeccompOperator } from "../../protocol/oci.ts";
import { SECCOMP_OPERATORS } from "./seccomp/actions.ts";
import { compileSeccomp } from "./seccomp.ts";

/** linux/audit.h */
const X86_64 = 0xc000003e;
const I386 = 0x40000003;
const X32_BIT = 0x40000000;
/** linux/seccomp.h */
const KILL_PROCESS = 0x80000000;
const KILL_THREAD = 0;
const TRAP = 0x00030000;
const ERRNO = 0x00050000;
const TRACE = 0x7ff00000;
const LOG = 0x7ffc0000;
const ALLOW = 0x7fff0000;
/** asm/unistd_64.h */
const READ = 0;
const MKDIR = 83;
const PERSONALITY = 135;
const CLONE3 = 435;
const NEWER = 700;

interface Call {
  number: number;
  architecture?: number;
  args?: readonly bigint[];
}

/** What the kernel does with a call: the program's answer, as net/core/filter.c computes it. */
function answer(program: Buffer, { number, architecture = X86_64, args = [] }: Call): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number >>> 0, 0);
  data.writeUInt32LE(architecture, 4);
  for (const [index, value] of args.entries()) data.writeBigUInt64LE(value, 16 + 8 * index);
  const memory = new Uint32Array(16);
  let accumulator = 0;
  for (let at = 0; at < program.length; at += 8) {
    const code = program.readUInt16LE(at);
    const k = program.readUInt32LE(at + 4);
    const jump = (holds: boolean) => {
      at += 8 * program.readUInt8(at + (holds ? 2 : 3));
    };
    if (code === 0x06) return k;
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x05) at += 8 * k;
    else if (code === 0x15) jump(accumulator === k);
    else if (code === 0x25) jump(accumulator > k);
    else if (code === 0x35) jump(accumulator >= k);
    else if (code === 0x45) jump((accumulator & k) !== 0);
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (code === 0x02) memory[k] = accumulator;
    else if (code === 0x60) accumulator = memory[k] ?? 0;
    else throw new Error(`instruction ${at / 8} has the code ${code.toString(16)}`);
  }
  throw new Error("the program has no end");
}

async function filter(seccomp: Partial<Seccomp>): Promise<(call: Call) => number> {
  const { program } = await compileSeccomp({ defaultAction: "SCMP_ACT_ALLOW", ...seccomp });
  return (call) => answer(program, call);
}

for (const [action, errnoRet, expected] of [
  ["SCMP_ACT_KILL", undefined, KILL_THREAD],
  ["SCMP_ACT_KILL_THREAD", undefined, KILL_THREAD],
  ["SCMP_ACT_KILL_PROCESS", undefined, KILL_PROCESS],
  ["SCMP_ACT_TRAP", undefined, TRAP],
  ["SCMP_ACT_ERRNO", undefined, ERRNO | 1],
  ["SCMP_ACT_ERRNO", 28, ERRNO | 28],
  ["SCMP_ACT_ERRNO", 0, ERRNO],
  ["SCMP_ACT_TRACE", undefined, TRACE | 1],
  ["SCMP_ACT_TRACE", 7, TRACE | 7],
  ["SCMP_ACT_LOG", undefined, LOG],
] as const) {
  test(`compileSeccomp: ${action} ${errnoRet ?? ""} for one call, and as the default`, async () => {
    const one = await filter({ syscalls: [{ names: ["mkdir"], action, errnoRet }] });
    assert.deepEqual([one({ number: MKDIR }), one({ number: READ })], [expected, ALLOW]);
    const others = await filter({
      defaultAction: action,
      defaultErrnoRet: errnoRet,
      syscalls: [{ names: ["read", "clone3"], action: "SCMP_ACT_ALLOW" }],
    });
    assert.deepEqual([others({ number: MKDIR }), others({ number: READ })], [expected, ALLOW]);
  });
}

test("compileSeccomp: no rules at all", async () => {
  assert.equal((await filter({ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 5 }))({ number: READ }), ERRNO | 5);
});

test("compileSeccomp leaves out names that nobody knows, and what the default does anyway", async () => {
  const calls = await filter({
    syscalls: [
      { names: ["no_such_call", "mkdir"], action: "SCMP_ACT_ERRNO" },
      { names: ["read"], action: "SCMP_ACT_ALLOW" },
    ],
  });
  assert.deepEqual([calls({ number: MKDIR }), calls({ number: READ })], [ERRNO | 1, ALLOW]);
});

test("compileSeccomp refuses names that nobody knows when it is told to", async () => {
  const seccomp: Seccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["mkdir", "no_such_call"], action: "SCMP_ACT_ALLOW" }],
  };
  assert.ok(await compileSeccomp(seccomp));
  await assert.rejects(compileSeccomp(seccomp, "refused"), {
    code: "CAISSON_E_CONFIG_INVALID",
    field: "linux.seccomp.syscalls[0]",
    message: /libseccomp knows no system call "no_such_call"/,
  });
});

test("compileSeccomp: a call newer than the filter does not exist, unless it would be let through", async () => {
  const syscalls: Seccomp["syscalls"] = [{ names: ["read", "clone3"], action: "SCMP_ACT_ALLOW" }];
  const newer = async (seccomp: Partial<Seccomp>) => (await filter({ syscalls, ...seccomp }))({ number: NEWER });
  assert.equal(await newer({ defaultAction: "SCMP_ACT_ERRNO" }), ERRNO | 38);
  assert.equal(await newer({ defaultAction: "SCMP_ACT_KILL_PROCESS" }), ERRNO | 38);
  const some = [{ names: ["clone3"], action: "SCMP_ACT_ERRNO" as const }];
  assert.equal(await newer({ defaultAction: "SCMP_ACT_LOG" }), LOG);
  assert.equal(await newer({ defaultAction: "SCMP_ACT_TRACE" }), TRACE | 1);
  assert.equal(await newer({ defaultAction: "SCMP_ACT_ALLOW", syscalls: some }), ALLOW);
  const older = await filter({ defaultAction: "SCMP_ACT_ERRNO", syscalls });
  assert.deepEqual([older({ number: CLONE3 }), older({ number: CLONE3 - 1 })], [ALLOW, ERRNO | 1]);
});

test("compileSeccomp: architectures; calls of others than the named ones kill", async () => {
  const syscalls: Seccomp["syscalls"] = [{ names: ["read", "mkdir"], action: "SCMP_ACT_ERRNO" }];
  const i386 = { number: 39, architecture: I386 };
  const x32 = { number: MKDIR | X32_BIT };
  const only64 = await filter({ syscalls, architectures: ["SCMP_ARCH_AARCH64"] });
  assert.deepEqual([only64({ number: MKDIR }), only64(i386), only64(x32)], [ERRNO | 1, KILL_THREAD, KILL_THREAD]);
  const architectures = ["SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_X86_64", "SCMP_ARCH_S390X"];
  const all = await filter({ syscalls, architectures });
  assert.deepEqual([all({ number: MKDIR }), all(i386), all(x32)], [ERRNO | 1, ERRNO | 1, ERRNO | 1]);
  const strict = await filter({
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [{ names: ["read", "socketcall"], action: "SCMP_ACT_ALLOW" }],
    architectures,
  });
  assert.equal(strict({ number: 102, architecture: I386 }), ALLOW);
  assert.equal(strict({ number: NEWER, architecture: I386 }), ERRNO | 38);
  assert.equal(strict({ number: NEWER | X32_BIT }), ERRNO | 38);
  assert.equal(strict({ number: 1 | X32_BIT }), ERRNO | 38);
});

/** libseccomp compares unsigned. */
function holds({ op, value, valueTwo = 0 }: SeccompArgument, actual: bigint): boolean {
  const wanted = BigInt(value);
  const results: Record<SeccompOperator, boolean> = {
    SCMP_CMP_NE: actual !== wanted,
    SCMP_CMP_LT: actual < wanted,
    SCMP_CMP_LE: actual <= wanted,
    SCMP_CMP_EQ: actual === wanted,
    SCMP_CMP_GE: actual >= wanted,
    SCMP_CMP_GT: actual > wanted,
    SCMP_CMP_MASKED_EQ: (actual & wanted) === BigInt(valueTwo),
  };
  return results[op];
}

const interesting = fc.oneof(
  fc.constantFrom(0n, 1n, 7n, 8n, 0xffffffffn, 0x100000000n, 0x100000007n, 0xffffffffffffffffn),
  fc.bigInt({ min: 0n, max: 0xffffffffffffffffn }),
);

for (const op of SECCOMP_OPERATORS) {
  test(`compileSeccomp: ${op} on 64 bits`, async () => {
    await fc.assert(
      fc.asyncProperty(
        interesting,
        interesting,
        interesting,
        fc.integer({ min: 0, max: 5 }),
        async (a, b, actual, index) => {
          const valueTwo = op === "SCMP_CMP_MASKED_EQ" ? b & a : 0n;
          const condition: SeccompArgument = { index, op, value: a, valueTwo };
          const calls = await filter({
            syscalls: [{ names: ["personality"], action: "SCMP_ACT_ERRNO", args: [condition] }],
          });
          const args = Array.from({ length: 6 }, (_, at) => (at === index ? actual : 0n));
          assert.equal(calls({ number: PERSONALITY, args }) === (ERRNO | 1), holds(condition, actual));
        },
      ),
      { numRuns: 60 },
    );
  });
}

test("compileSeccomp: conditions on different arguments hold together; on one, any of them does", async () => {
  const equal = (index: number, value: number): SeccompArgument => ({ index, value, op: "SCMP_CMP_EQ" });
  const rule = (...args: SeccompArgument[]) =>
    filter({ syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO", args }] });
  const both = await rule(equal(0, 1), equal(1, 2));
  assert.deepEqual(
    [both({ number: MKDIR, args: [1n, 2n] }), both({ number: MKDIR, args: [1n, 3n] })],
    [ERRNO | 1, ALLOW],
  );
  const any = await rule(equal(0, 1), equal(0, 2));
  const answers = [1n, 2n, 3n].map((value) => any({ number: MKDIR, args: [value] }));
  assert.deepEqual(answers, [ERRNO | 1, ERRNO | 1, ALLOW]);
});

test("compileSeccomp: flags; absent ones allow speculation", async () => {
  const flagsOf = async (flags?: Seccomp["flags"]) =>
    (await compileSeccomp({ defaultAction: "SCMP_ACT_ALLOW", flags })).flags;
  assert.equal(await flagsOf(), 4);
  assert.equal(await flagsOf([]), 0);
  assert.equal(await flagsOf(["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"]), 2);
  assert.equal(await flagsOf(["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]), 6);
});

test("compileSeccomp: many calls, as engines' profiles have them", async () => {
  const names = [
    ..."read write open close stat fstat lstat poll lseek mmap mprotect munmap brk ioctl pipe select dup dup2".split(
      " ",
    ),
    ..."pause nanosleep getpid socket connect accept sendto bind listen clone fork execve exit wait4 kill uname".split(
      " ",
    ),
  ];
  const calls = await filter({
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [{ names: [...names, "clone3"], action: "SCMP_ACT_ALLOW" }],
  });
  for (const number of [0, 1, 22, 32, 59, 63]) assert.equal(calls({ number }), ALLOW, String(number));
  for (const number of [17, 64, MKDIR, 434]) assert.equal(calls({ number }), ERRNO | 1, String(number));
});

test("compileSeccomp refuses a filter that is longer than the kernel takes", async () => {
  const args = (value: number): SeccompArgument[] => [
    { index: 0, value: (BigInt(value) << 32n) | 1n, op: "SCMP_CMP_EQ" },
  ];
  const syscalls: Seccomp["syscalls"] = Array.from({ length: 2500 }, (_, value) => ({
    names: ["mkdir"],
    action: "SCMP_ACT_ERRNO",
    args: args(value),
  }));
  await assert.rejects(compileSeccomp({ defaultAction: "SCMP_ACT_ALLOW", syscalls }), {
    code: "CAISSON_E_CONFIG_INVALID",
    field: "linux.seccomp",
  });
});
