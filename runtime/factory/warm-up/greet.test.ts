import assert from "node:assert/strict";
import { test } from "node:test";
import { PROTOCOL } from "../../../protocol/guest-contract.ts";
import type { Agent } from "../../guest/agent/client.ts";
import { FIRST_GUEST_INDEX } from "../../network/guest-requests.ts";
import { initialMac } from "../../vm/spec.ts";
import { greet } from "./warm-up.ts";

const own = { index: FIRST_GUEST_INDEX, mac: Buffer.from(initialMac(0).replaceAll(":", ""), "hex") };
const other = { index: FIRST_GUEST_INDEX + 1, mac: Buffer.from("52540012ab34", "hex") };
const { signal } = new AbortController();

function agentWith(networkDevices: readonly (typeof own)[]): Pick<Agent, "call"> {
  const answer = { protocolMajor: PROTOCOL.major, agentVersion: "1", networkDevices };
  return { call: (async () => answer) as unknown as Agent["call"] };
}

test("greet refuses a guest that has numbered its network devices otherwise", async () => {
  assert.equal(await greet(agentWith([own]), signal), 1);
  await assert.rejects(greet(agentWith([own, other]), signal), { code: "CAISSON_E_NETWORK" });
});

test("greet lets a guest have network functions of the host's after its own devices", async () => {
  assert.equal(await greet(agentWith([own, other]), signal, 1), 2);
  await assert.rejects(greet(agentWith([{ ...other, index: FIRST_GUEST_INDEX }]), signal, 1), {
    code: "CAISSON_E_NETWORK",
  });
});
