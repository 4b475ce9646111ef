/**
 * What outlives sandboxes: how many started, how long each phase took, what failed. One file of the host, of bounded size:
 * its keys are our own words, never a guest's.
 */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { flock, constants as posix } from "../../native/posix/index.ts";
import { ERROR_CODES, type ErrorCode } from "../../protocol/errors.ts";
import { readBounded, SMALL_FILE } from "../text/bounded-read.ts";
import { discardUnfinished } from "../text/discard-unfinished.ts";
import { pause } from "../text/pause.ts";
import { type HistogramValue, isHistogram } from "./histogram.ts";

/** The folder of the whole host, as the users of QEMUs are (vm/jail/uids.ts). */
const DIRECTORY = "/run/caisson-vm";
const FILE = "totals.json";
const LOCK = "totals.lock";
/** A file that is there while starts are to be counted: whoever monitors makes it. */
const MONITORED = "monitored";
/** A writer has the file for less than a millisecond. Past this what was to be counted is lost: it must not hold anything up. */
const LOCK_LIMIT_MS = 100;
const PAUSE_MS = 2;
const LONGEST_MESSAGE = 2000;

export const ORIGINS = ["booted", "cloned", "forked"] as const;
/** Where a VM came from. */
export type Origin = (typeof ORIGINS)[number];

/** The phases of a start that are counted, by their names in a trace. */
export const PHASES: Readonly<Record<string, string>> = {
  "read bundle": "read_bundle",
  "reserve the state": "reserve_state",
  "choose the VM": "choose_vm",
  "connect the network": "connect_network",
  "open template": "open_template",
  "VM: qemu started": "qemu_started",
  "VM: qemu forked": "qemu_forked",
  "agent: create sandbox": "agent_create_sandbox",
  "VM ready": "vm_ready",
  "create container": "create_container",
};

/** A sandbox that did not start, or was lost. */
export interface Failure {
  /** Unix milliseconds. */
  at: number;
  sandbox: string;
  code: ErrorCode;
  message: string;
}

export interface Totals {
  starts: Partial<Record<Origin, number>>;
  phases: Record<string, HistogramValue>;
  failures: Partial<Record<ErrorCode, number>>;
  last?: Failure;
}

/** Whether starts are to be counted: somebody monitors this host. */
export function isMonitored(directory = DIRECTORY): boolean {
  return existsSync(join(directory, MONITORED));
}

/** Has starts counted from now on. Throws the system's error. */
export function beginMonitoring(directory = DIRECTORY): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, MONITORED), "", { mode: 0o600 });
}

/** What has been counted so far; a file that is damaged, or not there, holds nothing. */
export function readTotals(directory = DIRECTORY): Totals {
  try {
    return parseTotals(readBounded(join(directory, FILE), SMALL_FILE).toString());
  } catch {
    return { starts: {}, phases: {}, failures: {} };
  }
}

/** Changes what has been counted, unless it cannot be: what is counted is no part of what is done. */
export function changeTotals(change: (totals: Totals) => void, directory = DIRECTORY): void {
  // What the build runs fails on purpose (scripts/compile.sh).
  if (process.env["CAISSON_COMPILING"] !== undefined) return;
  const aside = join(directory, `${FILE}.${process.pid}`);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const fd = openSync(join(directory, LOCK), "a", 0o600);
    try {
      if (!lock(fd)) return;
      const totals = readTotals(directory);
      change(totals);
      writeFileSync(aside, JSON.stringify(totals), { mode: 0o600 });
      renameSync(aside, join(directory, FILE));
    } finally {
      closeSync(fd);
    }
  } catch {
    discardUnfinished(aside);
  }
}

/** Counts a failure that a command or a call ended with. */
export function countFailure(code: ErrorCode, directory = DIRECTORY): void {
  changeTotals(({ failures }) => {
    failures[code] = (failures[code] ?? 0) + 1;
  }, directory);
}

/** Remembers a sandbox that did not start, or was lost, until another one does so. */
export function rememberFailure(failure: Omit<Failure, "at">, directory = DIRECTORY): void {
  changeTotals((totals) => {
    totals.last = { at: Date.now(), ...failure, message: failure.message.slice(0, LONGEST_MESSAGE) };
  }, directory);
}

function lock(fd: number): boolean {
  for (let waited = 0; waited < LOCK_LIMIT_MS; waited += PAUSE_MS) {
    if (flock(fd, posix.LOCK_EX | posix.LOCK_NB)) return true;
    pause(PAUSE_MS);
  }
  return false;
}

/** Keeps what has the right form, under the names that there are. Throws for what is no JSON. */
function parseTotals(text: string): Totals {
  const { starts, phases, failures, last } = (JSON.parse(text) ?? {}) as Record<string, unknown>;
  const known = new Set(Object.values(PHASES));
  const totals: Totals = {
    starts: counts(starts, ORIGINS),
    phases: Object.fromEntries(
      Object.entries(phases ?? {}).filter(([name, value]) => known.has(name) && isHistogram(value)),
    ),
    failures: counts(failures, ERROR_CODES),
  };
  return isFailure(last) ? { ...totals, last } : totals;
}

function counts<Name extends string>(value: unknown, names: readonly Name[]): Partial<Record<Name, number>> {
  const given = (value ?? {}) as Partial<Record<Name, unknown>>;
  const right = names.filter((name) => Number.isSafeInteger(given[name]));
  return Object.fromEntries(right.map((name) => [name, given[name]])) as Partial<Record<Name, number>>;
}

function isFailure(value: unknown): value is Failure {
  const { at, sandbox, code, message } = (value ?? {}) as Partial<Record<keyof Failure, unknown>>;
  const isCode = (ERROR_CODES as readonly unknown[]).includes(code);
  return Number.isFinite(at) && typeof sandbox === "string" && isCode && typeof message === "string";
}
