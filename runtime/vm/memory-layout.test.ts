import assert from "node:assert/strict";
import { test } from "node:test";
import { MEMORY_STEPS, sizeOfSteps, stepsFor, stepsWithin } from "../../protocol/guest-memory.ts";
import { bootMemory, memoryLayout, memoryParameters } from "./memory-layout.ts";

test("MEMORY_STEPS follow each other from 4 GiB, in multiples of a memory block", () => {
  let end = 4096;
  for (const { startMib, sizeMib } of MEMORY_STEPS) {
    assert.equal(startMib, end);
    assert.equal(sizeMib % 128, 0);
    end += sizeMib;
  }
  assert.equal(end, 4096 + 255 * 1024);
});

test("stepsFor brings enough, stepsWithin no more than that", () => {
  assert.deepEqual(
    [0, 1, 128, 129, 1024, 1025].map((mib) => stepsFor(0, mib)),
    [0, 1, 1, 2, 8, 9],
  );
  assert.deepEqual(
    [0, 127, 128, 255, 1024, 1279, 1280].map((mib) => stepsWithin(0, mib)),
    [0, 0, 1, 1, 8, 8, 9],
  );
  assert.equal(stepsFor(0, 10 ** 9), MEMORY_STEPS.length);
  assert.equal(sizeOfSteps(8, 2), 512);
});

test("memoryLayout hides from the kernel what it does not boot with", () => {
  assert.deepEqual(memoryLayout({ machine: "microvm", memoryMib: 2048, ceilingMib: 4096 }), {
    ramMib: 3072 + 2048,
    hidden: [
      { startMib: 2048, sizeMib: 1024 },
      { startMib: 4096, sizeMib: 2048 },
    ],
    firstStep: 0,
    steps: 12,
  });
});

test("memoryLayout begins behind the memory above 4 GiB that the guest boots with", () => {
  const layout = memoryLayout({ machine: "microvm", memoryMib: 4096, ceilingMib: 6144 });
  assert.deepEqual(layout, {
    ramMib: 3072 + 3072,
    hidden: [{ startMib: 5120, sizeMib: 2048 }],
    firstStep: 8,
    steps: 8,
  });
  const odd = memoryLayout({ machine: "q35", memoryMib: 2048 + 100, ceilingMib: 4096 });
  assert.deepEqual(odd.hidden, [{ startMib: 4196, sizeMib: odd.ramMib - 2048 - 100 }]);
  assert.equal(odd.firstStep, 1);
});

test("memoryLayout of a guest that cannot grow is the memory it boots with", () => {
  for (const ceilingMib of [0, 2048, 2048 + 127]) {
    const layout = memoryLayout({ machine: "microvm", memoryMib: 2048, ceilingMib });
    assert.deepEqual(layout, { ramMib: 2048, hidden: [], firstStep: 0, steps: 0 });
    assert.deepEqual(memoryParameters(layout), []);
  }
  assert.equal(memoryLayout({ machine: "microvm", memoryMib: 2 ** 20, ceilingMib: 2 ** 21 }).steps, 0);
});

test("memoryParameters removes the ranges from the kernel's map of memory", () => {
  assert.deepEqual(memoryParameters(memoryLayout({ machine: "q35", memoryMib: 512, ceilingMib: 1024 })), [
    "memmap=1536M%512M-1",
    "memmap=512M%4096M-1",
    "memory_hotplug.memmap_on_memory=1",
  ]);
});

test("bootMemory is what a guest touches first, within what it boots with", () => {
  assert.deepEqual(bootMemory({ machine: "microvm", memoryMib: 2048, ceilingMib: 12_288 }), [
    { startMib: 2000, sizeMib: 48 },
    { startMib: 16, sizeMib: 160 },
  ]);
  assert.deepEqual(bootMemory({ machine: "q35", memoryMib: 4096, ceilingMib: 4096 })[0], {
    startMib: 1968,
    sizeMib: 80,
  });
  assert.deepEqual(bootMemory({ machine: "microvm", memoryMib: 192, ceilingMib: 192 }), []);
});
