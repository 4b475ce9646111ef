/** Where a VM's memory is: what its guest has when it boots, and what it can take later (protocol/guest-memory.ts). */
import { HIGH_MEMORY_MIB, MEMORY_STEPS, sizeOfSteps, stepsWithin } from "../../protocol/guest-memory.ts";
import type { VmSpec } from "./spec.ts";

/** What QEMU puts below 4 GiB of a VM that has memory above it (microvm_memory_init(), pc_q35_init()). */
const LOW_MEMORY_MIB = { microvm: 3072, q35: 2048 } as const;

export interface MemoryLayout {
  /** QEMU's RAM. */
  ramMib: number;
  /** Ranges of it that the guest's kernel is not to find when it boots. */
  hidden: readonly { startMib: number; sizeMib: number }[];
  /** The steps that the guest can take: the number of the first one, and how many they are. */
  firstStep: number;
  steps: number;
}

type Shape = Pick<VmSpec, "machine" | "memoryMib" | "ceilingMib">;

/** A guest without room to grow has the RAM that it boots with, and no steps. */
export function memoryLayout({ machine, memoryMib, ceilingMib }: Shape): MemoryLayout {
  const low = LOW_MEMORY_MIB[machine];
  const highMib = Math.max(0, memoryMib - low);
  const found = MEMORY_STEPS.findIndex(({ startMib }) => startMib >= HIGH_MEMORY_MIB + highMib);
  const firstStep = found === -1 ? MEMORY_STEPS.length : found;
  const steps = stepsWithin(firstStep, ceilingMib - memoryMib);
  if (steps <= 0) return { ramMib: memoryMib, hidden: [], firstStep: 0, steps: 0 };
  const ramMib = low + sizeOfSteps(0, firstStep + steps);
  const hidden = [
    { startMib: Math.min(memoryMib, low), sizeMib: Math.max(0, low - memoryMib) },
    { startMib: HIGH_MEMORY_MIB + highMib, sizeMib: ramMib - low - highMib },
  ];
  return { ramMib, hidden: hidden.filter(({ sizeMib }) => sizeMib > 0), firstStep, steps };
}

/** Below it is nothing but what firmware uses: the kernel's image begins there. */
const KERNEL_START_MIB = 16;
/** Up to here a guest with its agent has touched all (counted in a boot: 180 MiB), since its kernel takes the lowest pages first. */
const BOOTED_END_MIB = 176;
/** From the end of its memory down a kernel has its table of pages, 64 bytes for each, and what else it takes before it has others. */
const EARLY_MIB = 16;
const PAGES_PER_TABLE_PAGE = 64;

/** The parts of QEMU's RAM that every guest has touched when its agent answers; none of a guest that is small. */
export function bootMemory({ machine, memoryMib }: Shape): { startMib: number; sizeMib: number }[] {
  const end = Math.min(memoryMib, LOW_MEMORY_MIB[machine]);
  const top = EARLY_MIB + Math.floor(memoryMib / PAGES_PER_TABLE_PAGE);
  if (end - top < BOOTED_END_MIB) return [];
  return [
    { startMib: end - top, sizeMib: top },
    { startMib: KERNEL_START_MIB, sizeMib: BOOTED_END_MIB - KERNEL_START_MIB },
  ];
}

/** The guest kernel's parameters for it: what is hidden, and that what comes is described in itself, where there is room. */
export function memoryParameters({ hidden, steps }: MemoryLayout): string[] {
  if (steps === 0) return [];
  return [
    ...hidden.map(({ startMib, sizeMib }) => `memmap=${sizeMib}M%${startMib}M-1`),
    "memory_hotplug.memmap_on_memory=1",
  ];
}
