import type { Int64, MemoryResources } from "../../protocol/oci.ts";
import { invalid, limitText, type ReadCgroupFile, refuse, type Setting } from "./setting.ts";

const FIELD = "linux.resources.memory";

/**
 * The writes for `linux.resources.memory`. The OCI `swap` counts memory and swap together (cgroup v1's memsw) and cgroup
 * v2 counts swap alone, so the memory limit is subtracted, as runc does (libcontainer cgroups, ConvertMemorySwap...).
 */
export function memorySettings(memory: MemoryResources, read: ReadCgroupFile): Setting[] {
  refuseV1Only(memory);
  if (memory.checkBeforeUpdate === true) checkUsage(memory, read);
  const settings: Setting[] = [];
  const swap = swapSetting(memory, read);
  if (swap !== undefined) settings.push(swap);
  if (isSet(memory.limit)) {
    settings.push({ file: "memory.max", value: limitText(memory.limit), field: `${FIELD}.limit` });
  }
  if (isSet(memory.reservation)) {
    settings.push({ file: "memory.low", value: limitText(memory.reservation), field: `${FIELD}.reservation` });
  }
  return settings;
}

function swapSetting({ limit, swap }: MemoryResources, read: ReadCgroupFile): Setting | undefined {
  const field = `${FIELD}.swap`;
  const write = (value: string): Setting => {
    const setting: Setting = { file: "memory.swap.max", value, field };
    // Without swap accounting there is no such file, and there is no swap to give or withhold either.
    return value === "max" || value === "0" ? { ...setting, absentIsFine: true } : setting;
  };
  if (!isSet(swap)) return isSet(limit) && limit < 0 ? write("max") : undefined;
  if (swap < 0) return write("max");
  const memoryLimit = isSet(limit) ? limit : currentLimit(read);
  if (memoryLimit === undefined || memoryLimit < 0) {
    invalid(field, `cannot be limited while ${FIELD}.limit is not: it counts memory and swap together`);
  }
  const difference = BigInt(swap) - BigInt(memoryLimit);
  if (difference < 0n) {
    invalid(field, `(${swap}) must be at least ${FIELD}.limit (${memoryLimit}): it counts memory and swap together`);
  }
  return write(difference.toString());
}

function currentLimit(read: ReadCgroupFile): bigint | undefined {
  const text = read("memory.max");
  return text === undefined || text === "max" ? undefined : BigInt(text);
}

function checkUsage({ limit }: MemoryResources, read: ReadCgroupFile): void {
  const usage = BigInt(read("memory.current") ?? 0);
  if (isSet(limit) && limit > 0 && usage > BigInt(limit)) {
    invalid(`${FIELD}.limit`, `(${limit}) is below the ${usage} bytes in use, and checkBeforeUpdate forbids that`);
  }
}

function refuseV1Only(memory: MemoryResources): void {
  for (const name of ["kernel", "kernelTCP"] as const) {
    const value = memory[name];
    // -1 asks for no limit, which is what there is.
    if (isSet(value) && value > 0) refuse(`${FIELD}.${name}`, "cgroup v2 has no separate limit for kernel memory");
  }
  if (memory.swappiness !== undefined) refuse(`${FIELD}.swappiness`, "cgroup v2 has no swappiness of a group");
  if (memory.disableOOMKiller === true) refuse(`${FIELD}.disableOOMKiller`, "cgroup v2 cannot turn the OOM killer off");
  if (memory.useHierarchy === false) refuse(`${FIELD}.useHierarchy`, "cgroup v2 is always hierarchical");
}

function isSet(value: Int64 | undefined): value is Int64 {
  return value !== undefined && Number(value) !== 0;
}
