/** Flags of `update` as an OCI resources object. Names and units are runc's. */
import { CaissonError } from "../../protocol/errors.ts";
import type { Int64, Resources } from "../../protocol/oci.ts";

/** The flags as commander names them: `--cpu-rt-period` is `cpuRtPeriod`. */
export interface ResourceFlags {
  blkioWeight?: string;
  cpuPeriod?: string;
  cpuQuota?: string;
  cpuBurst?: string;
  cpuShare?: string;
  cpuRtPeriod?: string;
  cpuRtRuntime?: string;
  cpuIdle?: string;
  cpusetCpus?: string;
  cpusetMems?: string;
  memory?: string;
  memoryReservation?: string;
  memorySwap?: string;
  pidsLimit?: string;
}

const SIZE = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i;
const POWERS: Record<string, number> = { "": 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

/** Only what was given; sections without anything are absent. */
export function resourcesOf(flags: ResourceFlags): Resources {
  const memory = section({
    limit: size("memory", flags.memory),
    reservation: size("memory-reservation", flags.memoryReservation),
    // Without a limit on memory one on both together says nothing, and the kernel's file would keep the old number.
    swap: size("memory-swap", flags.memorySwap ?? (flags.memory === "-1" ? "-1" : undefined)),
  });
  const cpu = section({
    shares: integer("cpu-share", flags.cpuShare),
    quota: integer("cpu-quota", flags.cpuQuota),
    burst: integer("cpu-burst", flags.cpuBurst),
    period: integer("cpu-period", flags.cpuPeriod),
    realtimeRuntime: integer("cpu-rt-runtime", flags.cpuRtRuntime),
    realtimePeriod: integer("cpu-rt-period", flags.cpuRtPeriod),
    idle: integer("cpu-idle", flags.cpuIdle),
    cpus: flags.cpusetCpus,
    mems: flags.cpusetMems,
  });
  const pids = section({ limit: integer("pids-limit", flags.pidsLimit) });
  const weight = integer("blkio-weight", flags.blkioWeight);
  const blockIO = section({ weight: weight === undefined ? undefined : Number(weight) });
  return section({ memory, cpu, pids, blockIO }) ?? {};
}

function section<T extends object>(fields: T): T | undefined {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return given.length === 0 ? undefined : (Object.fromEntries(given) as T);
}

function integer(flag: string, text: string | undefined): Int64 | undefined {
  if (text === undefined) return undefined;
  if (!/^-?\d{1,18}$/.test(text)) {
    throw new CaissonError("CAISSON_E_USAGE", `invalid value for ${flag}: "${text}" is not an integer`);
  }
  return narrow(BigInt(text));
}

/** Bytes, with k, m, g, t or p for powers of 1024; -1 is "no limit". */
function size(flag: string, text: string | undefined): Int64 | undefined {
  if (text === undefined) return undefined;
  if (text === "-1") return -1;
  const match = SIZE.exec(text);
  const bytes = match === null ? Number.NaN : Number(match[1]) * 1024 ** (POWERS[match[2]?.toLowerCase() ?? ""] ?? 0);
  if (!(bytes < 2 ** 63)) {
    throw new CaissonError("CAISSON_E_USAGE", `invalid value for ${flag}: "${text}" is not a size`, {
      remedy: "Give bytes, or a number with k, m, g or t, e.g. 512m; -1 means no limit.",
    });
  }
  return narrow(BigInt(Math.floor(bytes)));
}

function narrow(value: bigint): Int64 {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
