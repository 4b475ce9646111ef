import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readlinkSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { applyNetwork } from "./network.ts";

const options = process.getuid?.() === 0 ? {} : { skip: "needs root" };
const OWN = "/proc/thread-self/ns/net";
const RTM_NEWLINK = 16;
const NLM_F_REQUEST_ACK = 0x5;
const IFF_UP = 1;
const LOOPBACK = 1;

/** RTM_NEWLINK that brings an interface up. */
function bringUp(sequence: number, index: number): Buffer {
  const message = Buffer.alloc(32);
  message.writeUInt32LE(32, 0);
  message.writeUInt16LE(RTM_NEWLINK, 4);
  message.writeUInt16LE(NLM_F_REQUEST_ACK, 6);
  message.writeUInt32LE(sequence, 8);
  message.writeInt32LE(index, 20);
  message.writeUInt32LE(IFF_UP, 24);
  message.writeUInt32LE(IFF_UP, 28);
  return message;
}

/** A process in a network namespace of its own. */
let other: ChildProcess;
let pid: number;
const shown = () =>
  execFileSync("nsenter", [`--net=/proc/${pid}/ns/net`, "ip", "link", "show", "lo"], { encoding: "utf8" });

before(async () => {
  if (options.skip !== undefined) return;
  other = spawn("unshare", ["--net", "sh", "-c", "echo ready; exec sleep 100"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  await new Promise((resolve) => other.stdout?.once("data", resolve));
  pid = other.pid as number;
});
after(() => other?.kill("SIGKILL"));

test("applyNetwork works in the network namespace of the process, and comes back", options, () => {
  const own = readlinkSync(OWN);
  assert.doesNotMatch(shown(), /UP/);
  applyNetwork(bringUp(0, LOOPBACK), pid);
  assert.match(shown(), /[<,]UP[,>]/);
  assert.equal(readlinkSync(OWN), own);
});

test("applyNetwork names the first request that the kernel refuses, and carries out the others", options, () => {
  execFileSync("nsenter", [`--net=/proc/${pid}/ns/net`, "ip", "link", "set", "lo", "down"]);
  const batch = Buffer.concat([bringUp(0, 4000), bringUp(1, 4001), bringUp(2, LOOPBACK)]);
  assert.throws(() => applyNetwork(batch, pid), {
    code: "CAISSON_E_NETWORK",
    field: "requests[0]",
    message: /errno 19/,
  });
  assert.match(shown(), /[<,]UP[,>]/);
});

test("applyNetwork comes back when there is no such process", options, () => {
  const own = readlinkSync(OWN);
  assert.throws(() => applyNetwork(bringUp(0, LOOPBACK), 2 ** 22 + 1), { code: "ENOENT" });
  assert.equal(readlinkSync(OWN), own);
});

test("networkDevices leaves loopback out", options, () => {
  // In a sysfs of its own: on a host interfaces come and go.
  const script = `
    import { networkDevices } from ${JSON.stringify(join(import.meta.dirname, "network.ts"))};
    console.log(JSON.stringify(networkDevices().map(({ index, mac }) => [index, mac.toString("hex")])));`;
  const link = "ip link add v0 address 02:00:5e:00:00:01 type veth peer name v1 address 02:00:5e:00:00:02";
  const shell = `mount -t sysfs none /sys && ${link} && exec "$0" "$@"`;
  const node = [process.execPath, "--input-type=module", "--eval", script];
  const printed = execFileSync("unshare", ["--mount", "--net", "sh", "-c", shell, ...node], { encoding: "utf8" });
  const devices = JSON.parse(printed) as [number, string][];
  assert.ok(
    devices.every(([index, mac]) => index > LOOPBACK && mac.length >= 8),
    printed,
  );
  for (const wanted of ["02005e000001", "02005e000002"])
    assert.ok(
      devices.some(([, mac]) => mac === wanted),
      printed,
    );
});
