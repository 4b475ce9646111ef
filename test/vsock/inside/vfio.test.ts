/** Runs in the outer VM, which has an IOMMU, an NVMe disk, two network devices and one that no driver is for. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { after, afterEach, before, test } from "node:test";
import type { Device } from "../../../protocol/oci.ts";
import { numbersOf } from "../../../runtime/oci/host-devices.ts";
import { Bundle } from "../../harness/bundle.ts";
import { errorOf, Host, until } from "../../harness/host.ts";
import { qemusOf } from "../../harness/qemu.ts";

const PCI = "/sys/bus/pci/devices";
const NVME = "0x1b36:0x0010";
const NETWORKS = ["0x8086:0x10d3", "0x1af4:0x1041"];
const EDU = "0x1234:0x11e8";
const WRITTEN = "written by the container";
const host = new Host();

before(() => execFileSync("modprobe", ["-a", "vfio_pci", "vfio_iommu_type1", "nvme"]));
afterEach(async () => {
  const left = await host.remains();
  await host.clear();
  assert.deepEqual(left, []);
});
after(() => host[Symbol.asyncDispose]());

function addressOf(id: string): string {
  const read = (address: string, file: string) => readFileSync(`${PCI}/${address}/${file}`, "latin1").trim();
  const found = readdirSync(PCI).find((each) => `${read(each, "vendor")}:${read(each, "device")}` === id);
  return found ?? assert.fail(`there is no PCI device ${id}`);
}

function bind(address: string, driver: string): void {
  writeFileSync(`${PCI}/${address}/driver_override`, driver === "vfio-pci" ? driver : "\n");
  if (existsSync(`${PCI}/${address}/driver`)) writeFileSync(`${PCI}/${address}/driver/unbind`, address);
  writeFileSync("/sys/bus/pci/drivers_probe", address);
  assert.equal(basename(readlinkSync(`${PCI}/${address}/driver`)), driver);
}

/** The node of a function's group as engines list it; it need not be there. */
function groupOf(address: string): Device {
  const path = `/dev/vfio/${basename(readlinkSync(`${PCI}/${address}/iommu_group`))}`;
  const numbers = existsSync(path) ? numbersOf(statSync(path, { bigint: true }).rdev) : { major: 4000, minor: 1 };
  return { path, type: "c", ...numbers, fileMode: 0o660, uid: 0, gid: 100 };
}

function bundleWith(devices: readonly Device[], annotations: Record<string, string> = {}): Bundle {
  const bundle = new Bundle();
  bundle.spec.annotations = annotations;
  const rules = devices.map(({ major = 0, minor = 0 }) => ({
    allow: true,
    type: "c" as const,
    major,
    minor,
    access: "rw",
  }));
  const resources = { devices: [{ allow: false, access: "rwm" }, ...rules] };
  bundle.spec.linux = { ...bundle.spec.linux, devices: [...devices], resources };
  return bundle.write();
}

async function refused(bundle: Bundle): Promise<string> {
  const result = await host.run(["run", "-b", bundle.directory, host.id()]);
  assert.equal(result.exitCode, 1);
  return errorOf(result);
}

test("a function that the host's own driver has is refused by name, and a VM without PCI", async () => {
  const address = addressOf(NVME);
  using bundle = bundleWith([groupOf(address)]);
  assert.match(
    await refused(bundle),
    new RegExp(`linux\\.devices\\[0\\].* ${address} .* has the driver nvme, not vfio-pci`),
  );
  bind(address, "vfio-pci");
  using forced = bundleWith([groupOf(address)], { "io.caisson.machine": "microvm" });
  assert.match(await refused(forced), new RegExp(`${address} cannot be passed to a VM of the machine "microvm"`));
});

test("a container has a passed disk, reads and writes it, network interfaces, and a function without a driver in sysfs", async (t) => {
  const nvme = addressOf(NVME);
  const edu = addressOf(EDU);
  const networks = NETWORKS.map(addressOf);
  for (const each of [nvme, edu, ...networks]) bind(each, "vfio-pci");
  const vfio: Device = { path: "/dev/vfio/vfio", type: "c", major: 10, minor: 196 };
  using bundle = bundleWith([vfio, ...[nvme, edu, ...networks].map(groupOf)]);
  const start = performance.now();
  const id = await host.start(bundle);
  t.diagnostic(`started in ${Math.round(performance.now() - start)} ms`);
  const { pid } = JSON.parse(await host.ok(["state", id])) as { pid: number };
  const [qemu = 0] = qemusOf(pid);
  assert.match(readFileSync(`/proc/${qemu}/cmdline`, "utf8"), /q35/);
  assert.match(readFileSync(`/proc/${qemu}/limits`, "utf8"), /Max locked memory +469762048 +469762048/);
  assert.match(readFileSync(`/proc/${qemu}/status`, "utf8"), /^CapEff:\t0{16}$/m);
  const inside = (script: string) => host.ok(["exec", id, "sh", "-c", script]);
  assert.equal(await inside("head -c 21 /dev/nvme0n1"), "read by the container");
  assert.equal(await inside("stat -c '%F %a %g' /dev/nvme0n1"), "block special file 660 100\n");
  // In a network namespace of its own, which is otherwise empty.
  const links = await inside("ip -o link");
  for (const mac of ["52:54:00:00:00:01", "52:54:00:00:00:02"]) assert.match(links, new RegExp(`link/ether ${mac}`));
  assert.match(await inside("cat /sys/bus/pci/devices/*/device"), /^0x11e8$/m);
  assert.equal(await inside("ls /dev | grep vfio; true"), "");
  await inside(`echo ${WRITTEN} | dd of=/dev/nvme0n1 bs=4096 conv=sync,fsync`);
  await host.ok(["delete", "--force", id]);
  bind(nvme, "nvme");
  await until(async () => existsSync("/dev/nvme0n1"));
  const found = execFileSync("head", ["-c", String(WRITTEN.length), "/dev/nvme0n1"], { encoding: "latin1" });
  assert.equal(found, WRITTEN);
});
