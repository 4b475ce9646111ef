import assert from "node:assert/strict";
import { test } from "node:test";
import { guestProcess, guestResources } from "./guest-resources.ts";

test("guestResources keeps CPUs that the guest has and renumbers others", () => {
  const cpus = (list: string, vcpus: number) => guestResources({ cpu: { cpus: list } }, vcpus).cpu?.cpus;
  assert.equal(cpus("0-1", 2), "0-1");
  assert.equal(cpus("1", 2), "1");
  assert.equal(cpus("4-5", 2), "0-1");
  assert.equal(cpus("7", 1), "0");
  assert.equal(cpus("0,2,4,6", 2), "0-1");
});

test("guestResources names the guest's one memory node and leaves the rest alone", () => {
  const resources = { memory: { limit: 5 }, cpu: { quota: 1000, mems: "1" } };
  assert.deepEqual(guestResources(resources, 1), { memory: { limit: 5 }, cpu: { quota: 1000, mems: "0" } });
  assert.deepEqual(guestResources({ cpu: { shares: 2, cpus: "" } }, 1), { cpu: { shares: 2 } });
  assert.deepEqual(guestResources({}, 1), {});
});

test("guestProcess treats execCPUAffinity in the same way", () => {
  const affinity = (initial: string, final?: string) =>
    guestProcess({ cwd: "/", execCPUAffinity: { initial, final } }, 2).execCPUAffinity;
  assert.deepEqual(affinity("1", "0-1"), { initial: "1", final: "0-1" });
  assert.deepEqual(affinity("", "4,6,8"), { initial: "", final: "0-1" });
  assert.deepEqual(guestProcess({ cwd: "/" }, 2), { cwd: "/" });
});
