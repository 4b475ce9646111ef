import type { DeviceRule } from "../../protocol/oci.ts";
import { invalid } from "./setting.ts";

/**
 * The devices every container may use whatever its rules say, last in the list as runc puts them: making any node
 * (which opens nothing), the standard ones of config-linux.md "Default Devices", and its own terminals.
 */
const ALWAYS_ALLOWED: DeviceRule[] = [
  { allow: true, type: "c", access: "m" },
  { allow: true, type: "b", access: "m" },
  { allow: true, type: "c", major: 1, minor: 3 }, // null
  { allow: true, type: "c", major: 1, minor: 5 }, // zero
  { allow: true, type: "c", major: 1, minor: 7 }, // full
  { allow: true, type: "c", major: 1, minor: 8 }, // random
  { allow: true, type: "c", major: 1, minor: 9 }, // urandom
  { allow: true, type: "c", major: 5, minor: 0 }, // tty
  { allow: true, type: "c", major: 5, minor: 2 }, // ptmx
  { allow: true, type: "c", major: 136 }, // pts/*
];

/** Bounds the program; real configurations have a few dozen. */
const MAX_RULES = 1024;

// linux/bpf.h: BPF_DEVCG_*.
const KIND = { b: 1, c: 2 };
const ACCESS: Record<string, number> = { m: 1, r: 2, w: 4 };

// Opcodes, linux/bpf_common.h and linux/bpf.h; jumps compare 32-bit halves (BPF_JMP32).
const LOAD_WORD = 0x61;
const COPY = 0xbc;
const SET = 0xb4;
const AND = 0x54;
const SHIFT_RIGHT = 0x74;
const JUMP = 0x05;
const JUMP_NOT_EQUAL = 0x56;
const JUMP_ANY_BIT = 0x46;
const EXIT = 0x95;

// Registers: r0 the verdict, r1 the context (struct bpf_cgroup_dev_ctx), then what it says.
const VERDICT = 0;
const CONTEXT = 1;
const TYPE = 2;
const WANTED = 3;
const MAJOR = 4;
const MINOR = 5;

interface Instruction {
  opcode: number;
  target: number;
  source?: number;
  offset?: number;
  value?: number;
}

/**
 * The eBPF program (BPF_PROG_TYPE_CGROUP_DEVICE) that enforces `linux.resources.devices`. The last rule that matches
 * decides, for each wanted right (read, write, mknod) by itself; what no rule matches is denied. The program therefore
 * walks the rules backwards and takes rights granted out of the wanted ones: none left means allowed, one denied means no.
 */
export function deviceFilter(rules: readonly DeviceRule[]): Buffer {
  if (rules.length > MAX_RULES)
    invalid("linux.resources.devices", `has ${rules.length} rules; ${MAX_RULES} is the most`);
  const program: Instruction[] = [
    { opcode: LOAD_WORD, target: WANTED, source: CONTEXT, offset: 0 },
    { opcode: COPY, target: TYPE, source: WANTED },
    { opcode: AND, target: TYPE, value: 0xffff },
    { opcode: SHIFT_RIGHT, target: WANTED, value: 16 },
    { opcode: LOAD_WORD, target: MAJOR, source: CONTEXT, offset: 4 },
    { opcode: LOAD_WORD, target: MINOR, source: CONTEXT, offset: 8 },
  ];
  const all = [
    ...rules.map((rule, index) => compileRule(rule, `linux.resources.devices[${index}]`)),
    ...ALWAYS_ALLOWED.map((rule) => compileRule(rule, "default devices")),
  ];
  for (const block of all.reverse()) program.push(...block);
  program.push(...verdict(0));
  return encode(program);
}

function compileRule(rule: DeviceRule, field: string): Instruction[] {
  const access = accessBits(rule.access, field);
  const decide: Instruction[] = rule.allow
    ? [
        { opcode: AND, target: WANTED, value: ~access & 7 },
        { opcode: JUMP_NOT_EQUAL, target: WANTED, value: 0, offset: 2 },
        ...verdict(1),
      ]
    : [
        { opcode: JUMP_ANY_BIT, target: WANTED, value: access, offset: 1 },
        { opcode: JUMP, target: 0, offset: 2 },
        ...verdict(0),
      ];
  const tests: Instruction[] = [];
  const type = rule.type ?? "a";
  if (type !== "a") tests.push({ opcode: JUMP_NOT_EQUAL, target: TYPE, value: kindOf(type, field) });
  if (isNumber(rule.major)) tests.push({ opcode: JUMP_NOT_EQUAL, target: MAJOR, value: rule.major });
  if (isNumber(rule.minor)) tests.push({ opcode: JUMP_NOT_EQUAL, target: MINOR, value: rule.minor });
  // Each failed test skips the rest of this rule.
  for (const [index, test] of tests.entries()) test.offset = tests.length - 1 - index + decide.length;
  return [...tests, ...decide];
}

function verdict(value: 0 | 1): Instruction[] {
  return [
    { opcode: SET, target: VERDICT, value },
    { opcode: EXIT, target: 0 },
  ];
}

function kindOf(type: string, field: string): number {
  if (type !== "b" && type !== "c") invalid(`${field}.type`, `must be "a", "b" or "c", not ${JSON.stringify(type)}`);
  return KIND[type];
}

function accessBits(access: string | undefined, field: string): number {
  if (access === undefined || access === "") return 7;
  // Other letters mean nothing, as for runc; the host has said so.
  const bits = [...access].reduce((sum, letter) => sum | (ACCESS[letter] ?? 0), 0);
  if (bits === 0) invalid(`${field}.access`, `must have some of the letters r, w and m, not ${JSON.stringify(access)}`);
  return bits;
}

/** Absent and negative numbers (-1, "*") match every device. */
function isNumber(number: number | undefined): number is number {
  return number !== undefined && number >= 0;
}

/** An instruction (linux/bpf.h, struct bpf_insn) is two words: Buffer's methods, one call for each field, are scripts themselves. */
function encode(program: Instruction[]): Buffer {
  const words = new Uint32Array(2 * program.length);
  for (const [index, { opcode, target, source = 0, offset = 0, value = 0 }] of program.entries()) {
    words[2 * index] = opcode | (((source << 4) | target) << 8) | (offset << 16);
    words[2 * index + 1] = value;
  }
  return Buffer.from(words.buffer);
}
