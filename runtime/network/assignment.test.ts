import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { link } from "../../test/harness/namespaces.ts";
import { assignDevices } from "./assignment.ts";

const assigned = (names: readonly string[], before = new Map<number, number>(), count = names.length) => {
  const links = names.map((name, position) => link({ index: position + 10, name }));
  const devices = assignDevices(links, before, count);
  return names.map((_, position) => devices.get(position + 10));
};

test("assignDevices gives an interface the device of its name, the others what is left", () => {
  assert.deepEqual(assigned(["eth0"]), [0]);
  assert.deepEqual(assigned(["eth1", "eth0"]), [1, 0]);
  assert.deepEqual(assigned(["net1", "eth0"]), [1, 0]);
  assert.deepEqual(assigned(["eth7", "eth1"]), [0, 1]);
  assert.deepEqual(assigned(["eth01", "eth0"]), [1, 0]);
});

test("assignDevices leaves every interface the device that it has", () => {
  assert.deepEqual(assigned(["net0", "eth0"], new Map([[10, 0]]), 2), [0, 1]);
});

test("assignDevices gives each interface one device, and none gets a name that another device still has", () => {
  const name = fc.constantFrom("eth0", "eth1", "eth2", "eth3", "net0", "net1", "wan");
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 7 }), (names) => {
      const devices = assigned(names) as number[];
      assert.deepEqual(
        devices.toSorted(),
        names.map((_, position) => position),
      );
      // Renamed one after the other, from the guest's eth<device> to the interface's name.
      const present = new Map(devices.map((device) => [device, `eth${device}`]));
      for (const [position, wanted] of names.entries()) {
        const device = devices[position] as number;
        const holder = [...present].find(([, held]) => held === wanted)?.[0];
        assert.ok(holder === undefined || holder === device, `${wanted} is taken by device ${holder}`);
        present.set(device, wanted);
      }
    }),
  );
});
