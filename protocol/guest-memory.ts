/**
 * The memory that a guest can be given while it runs. QEMU has all of it from the start, above 4 GiB, and the host pays for a page once the guest
 * has written to it. The guest's kernel does not know of it when it boots (`memmap=`), and takes it step by step, each an ACPI memory device.
 */

/** Where memory goes on above the hole for devices, on QEMU's microvm and on q35. */
export const HIGH_MEMORY_MIB = 4096;
/** The smallest step: what Linux on x86-64 adds at least (Documentation/admin-guide/mm/memory-hotplug.rst, memory block). */
const SMALLEST_STEP_MIB = 128;
/** Steps of one size; those after them are twice as large. So a guest of any size grows by an eighth of it at a time. */
const STEPS_OF_A_SIZE = 8;
/** 255 GiB in all: processors have 39 bits of address at least. */
const SIZES = 8;

export interface MemoryStep {
  /** Where it begins, and how much it is. */
  startMib: number;
  sizeMib: number;
}

/** All steps, in the order in which they are taken: each begins where the one before ends. */
export const MEMORY_STEPS: readonly MemoryStep[] = memorySteps();

/** What `count` steps from the first one on are together. */
export function sizeOfSteps(first: number, count: number): number {
  return MEMORY_STEPS.slice(first, first + count).reduce((sum, { sizeMib }) => sum + sizeMib, 0);
}

/** How many steps from the first one on bring at least that much; all that there are when they do not. */
export function stepsFor(first: number, growthMib: number): number {
  let count = 0;
  while (first + count < MEMORY_STEPS.length && sizeOfSteps(first, count) < growthMib) count++;
  return count;
}

/** How many steps from the first one on bring no more than that. */
export function stepsWithin(first: number, growthMib: number): number {
  const count = stepsFor(first, growthMib);
  return sizeOfSteps(first, count) > growthMib ? count - 1 : count;
}

/** The ACPI name of a step's device, in the scope \_SB. */
export function stepName(index: number): string {
  return `M${index.toString(16).toUpperCase().padStart(3, "0")}`;
}

function memorySteps(): MemoryStep[] {
  const steps: MemoryStep[] = [];
  let startMib = HIGH_MEMORY_MIB;
  for (let size = 0; size < SIZES; size++) {
    for (let step = 0; step < STEPS_OF_A_SIZE; step++) {
      const sizeMib = SMALLEST_STEP_MIB * 2 ** size;
      steps.push({ startMib, sizeMib });
      startMib += sizeMib;
    }
  }
  return steps;
}
