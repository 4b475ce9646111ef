import assert from "node:assert/strict";
import { test } from "node:test";
import { commandLine, type Wiring } from "./command-line.ts";
import { kernelParameters } from "./kernel-parameters.ts";
import type { QemuVersion } from "./qemu.ts";
import type { VmSpec } from "./spec.ts";

const SPEC: VmSpec = {
  qemu: { path: "/usr/bin/qemu-system-x86_64", version: [7, 2, 0], files: [] },
  machine: "microvm",
  accelerator: "tcg",
  memoryMib: 256,
  ceilingMib: 256,
  vcpus: 2,
  mostVcpus: 2,
  kernel: "/image/vmlinux",
  initrd: "/image/initrd.img",
  image: "/image/root.erofs",
  kernelParams: [],
  transport: "virtio-serial",
  tscKhz: 2_400_000,
  networks: [],
  passed: [],
  users: { first: 2_000_000_000, count: 1024 },
  consoleLog: "/run/caisson/console.log",
};
const WIRING: Wiring = {
  qmpFd: 3,
  consoleFd: 4,
  imageFd: 5,
  randomFd: 11,
  agent: { kind: "virtio-serial", fd: 6 },
  streamFds: [],
  memory: { kind: "anonymous" },
  stopped: false,
  networks: [],
};

/** The values given to an option, in order. */
function values(argv: readonly string[], option: string): string[] {
  return argv.filter((_, index) => argv[index - 1] === option);
}

function run(spec: Partial<VmSpec> = {}, wiring: Partial<Wiring> = {}): string[] {
  const sized = { ...SPEC, ...spec };
  const {
    memoryMib,
    vcpus,
    ceilingMib = memoryMib,
    mostVcpus = vcpus,
  } = { ...spec, memoryMib: sized.memoryMib, vcpus: sized.vcpus };
  return commandLine({ ...sized, ceilingMib, mostVcpus }, { ...WIRING, ...wiring });
}

test("commandLine starts from nothing but what is named, confined", () => {
  const argv = run();
  for (const flag of ["-nodefaults", "-no-user-config", "-no-reboot"]) assert.ok(argv.includes(flag), flag);
  assert.deepEqual(values(argv, "-display"), ["none"]);
  assert.deepEqual(values(argv, "-sandbox"), [
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
  ]);
});

test("commandLine lets the guest tell of free memory, which is not discarded in a template's file", () => {
  for (const kind of ["template", "clone"] as const) {
    const argv = run({}, { memory: { kind, fd: 9, stateFd: 8 } });
    assert.ok(values(argv, "-device").includes("virtio-balloon-device,id=balloon,free-page-reporting=on"));
    assert.doesNotMatch(argv.join(" "), /discard-data=on|deflate/);
  }
});

test("commandLine emulates with a bounded translation buffer, or has KVM pass the processor through", () => {
  assert.deepEqual(values(run(), "-accel"), ["tcg,thread=single,tb-size=256"]);
  assert.deepEqual(values(run(), "-cpu"), ["max,-erms,-fsrm"]);
  const kvm = run({ accelerator: "kvm" });
  assert.deepEqual([...values(kvm, "-accel"), ...values(kvm, "-cpu")], ["kvm", "host"]);
});

test("commandLine names the firmware of microvm, whose default is another one in each distribution", () => {
  assert.deepEqual(values(run(), "-bios"), ["qboot.rom"]);
  assert.ok(!run({ machine: "q35" }).includes("-bios"));
});

test("commandLine asks for one version of q35, while QEMU has it", () => {
  const machine = (version: QemuVersion) =>
    values(run({ machine: "q35", qemu: { path: "/q", version, files: [] } }), "-machine")[0]?.split(",")[0];
  assert.equal(machine([7, 2, 22]), "pc-q35-7.2");
  assert.equal(machine([10, 0, 13]), "pc-q35-7.2");
  assert.equal(machine([13, 0, 0]), "q35");
});

test("commandLine emulates several processors in turn where QEMU does not lock the code that it translates", () => {
  const threads = (version: QemuVersion, vcpus: number) => {
    const argv = run({ qemu: { path: "/usr/bin/qemu-system-x86_64", version, files: [] }, vcpus });
    return /thread=(\w+)/.exec(values(argv, "-accel").join())?.[1];
  };
  assert.equal(threads([7, 2, 22], 2), "single");
  assert.equal(threads([8, 0, 5], 4), "single");
  assert.equal(threads([8, 1, 0], 2), "multi");
  assert.equal(threads([7, 2, 22], 1), "multi");
});

test("commandLine gives an emulated guest no timer that ticks by itself", () => {
  for (const machine of ["microvm", "q35"] as const) {
    assert.match(values(run({ machine }), "-machine").join(), /,pit=off/);
    assert.doesNotMatch(values(run({ machine, accelerator: "kvm" }), "-machine").join(), /pit=/);
  }
});

test("commandLine gives the machine its RAM and processors", () => {
  assert.deepEqual(values(run({ memoryMib: 512, vcpus: 3 }), "-m"), ["512M"]);
  assert.deepEqual(values(run({ vcpus: 3, accelerator: "kvm" }), "-smp"), ["3"]);
  assert.equal(values(run(), "-object")[0], "memory-backend-memfd,id=ram,size=256M,share=on");
  assert.match(values(run(), "-machine").join(), /memory-backend=ram/);
});

test("commandLine gives an emulated machine room for a second processor, so that its memory barriers are real", () => {
  assert.deepEqual(values(run({ vcpus: 1 }), "-smp"), ["1,maxcpus=2"]);
  assert.deepEqual(values(run({ vcpus: 3 }), "-smp"), ["3,maxcpus=3"]);
  assert.deepEqual(values(run({ vcpus: 1, accelerator: "kvm" }), "-smp"), ["1"]);
});

test("commandLine shares a template's memory and keeps a clone's private", () => {
  const template = run({}, { memory: { kind: "template", fd: 9 } });
  assert.equal(
    values(template, "-object")[0],
    "memory-backend-file,id=ram,size=256M,mem-path=/proc/self/fd/9,prealloc=off,share=on",
  );
  assert.match(values(template, "-machine").join(), /memory-backend=ram/);
  const clone = run({}, { memory: { kind: "clone", fd: 9, stateFd: 8 } });
  assert.match(values(clone, "-object")[0] ?? "", /share=off$/);
});

test("commandLine has QEMU open a clone's memory itself, without which it discards nothing (8.2)", () => {
  for (const version of [
    [7, 2, 0],
    [10, 0, 0],
  ] as const) {
    const clone = run({ qemu: { path: "/q", version, files: [] } }, { memory: { kind: "clone", fd: 9, stateFd: 8 } });
    assert.match(values(clone, "-object")[0] ?? "", /share=off$/);
  }
});

test("commandLine calls a clone's memory shared where QEMU tells devices of no other", () => {
  const qemu = { path: "/q", version: [11, 1, 2], files: [] } as const;
  const clone = run({ qemu }, { memory: { kind: "clone", fd: 9, stateFd: 8 } });
  assert.match(values(clone, "-object")[0] ?? "", /share=on$/);
});

test("commandLine maps all the memory that the guest can take, and hides what it does not boot with", () => {
  const argv = run({ memoryMib: 512, ceilingMib: 1024 });
  assert.deepEqual(values(argv, "-m"), ["3584M"]);
  assert.match(values(argv, "-append")[0] ?? "", / memmap=2560M%512M-1 memmap=512M%4096M-1 /);
});

test("commandLine starts all the processors that the guest can put online, and has it boot with some of them", () => {
  const argv = run({ vcpus: 2, mostVcpus: 4 });
  assert.deepEqual(values(argv, "-smp"), ["4,maxcpus=4"]);
  assert.match(values(argv, "-append")[0] ?? "", / maxcpus=2$/);
  assert.match(values(argv, "-accel")[0] ?? "", /thread=single/);
});

test("commandLine has a clone wait for its state in place of loading a kernel", () => {
  const clone = run({}, { memory: { kind: "clone", fd: 9, stateFd: 8 } });
  assert.deepEqual(values(clone, "-incoming"), ["defer"]);
  for (const option of ["-kernel", "-initrd", "-append"]) assert.ok(!clone.includes(option), option);
  assert.ok(!run().includes("-incoming"));
});

test("commandLine gives a clone the devices of its template, in its order", () => {
  const networks = [{ tapFd: 7 }];
  for (const machine of ["microvm", "q35"] as const) {
    const of = (kind: "template" | "clone") => run({ machine }, { memory: { kind, fd: 9, stateFd: 8 }, networks });
    assert.deepEqual(values(of("clone"), "-device"), values(of("template"), "-device"));
    assert.deepEqual(values(of("clone"), "-machine"), values(of("template"), "-machine"));
  }
});

test("commandLine lets many VMs read the root image, which none can write", () => {
  assert.deepEqual(values(run(), "-add-fd"), ["fd=5,set=1", "fd=11,set=2"]);
  const [root] = values(run(), "-blockdev");
  for (const part of ["filename=/dev/fdset/1", "read-only=on", "locking=off"]) assert.ok(root?.includes(part), part);
});

test("commandLine talks to monitor, console and agent over inherited sockets", () => {
  const argv = run();
  assert.deepEqual(values(argv, "-chardev"), ["socket,id=qmp,fd=3", "socket,id=console,fd=4", "socket,id=agent,fd=6"]);
  assert.deepEqual(values(argv, "-serial"), ["chardev:console"]);
  assert.ok(values(argv, "-device").some((device) => device.endsWith("chardev=agent,name=org.caisson.agent.0")));
});

test("commandLine has an emulated guest and its serial port tell each other of every message", () => {
  const port = (accelerator: "tcg" | "kvm") =>
    values(run({ accelerator }), "-device").find((device) => device.startsWith("virtio-serial-"));
  assert.match(port("tcg") ?? "", /,event_idx=off(,|$)/);
  assert.doesNotMatch(port("kvm") ?? "", /event_idx/);
});

test("commandLine has a serial port for each stream socket, after the agent's", () => {
  const argv = run({}, { streamFds: [21, 22] });
  const devices = values(argv, "-device");
  assert.ok(devices.some((device) => device.includes("max_ports=4")));
  assert.deepEqual(
    devices.filter((device) => device.startsWith("virtserialport,")).map((device) => device.replace(/^.*,nr=/, "")),
    [
      "1,chardev=agent,name=org.caisson.agent.0",
      "2,chardev=stream1,name=org.caisson.stream.1",
      "3,chardev=stream2,name=org.caisson.stream.2",
    ],
  );
  const sockets = values(argv, "-chardev");
  for (const socket of ["socket,id=stream1,fd=21", "socket,id=stream2,fd=22"]) assert.ok(sockets.includes(socket));
});

test("commandLine has a character device for the copies of a VM that is to be forked alone", () => {
  const copies = (argv: readonly string[]) => values(argv, "-chardev").filter((each) => each.includes("id=copies"));
  assert.deepEqual(copies(run({}, { copiesShareFd: 23 })), ["socket,id=copies,fd=23"]);
  assert.deepEqual(copies(run()), []);
});

test("commandLine with vsock has its device and no serial port for the agent", () => {
  const argv = run({ transport: "vsock" }, { agent: { kind: "vsock", vhostFd: 8, cid: 4242 } });
  assert.ok(values(argv, "-device").includes("vhost-vsock-device,id=agent,guest-cid=4242,vhostfd=8"));
  assert.ok(!argv.join(" ").includes("virtserialport"));
});

test("commandLine uses virtio 1 devices: over MMIO on microvm, over PCI on q35", () => {
  const microvm = run();
  assert.deepEqual(values(microvm, "-global"), ["virtio-mmio.force-legacy=false"]);
  assert.ok(values(microvm, "-device").every((device) => !device.includes("-pci")));
  const q35 = run({ machine: "q35" });
  const virtio = values(q35, "-device").filter((device) => device.startsWith("virtio-"));
  assert.ok(virtio.length >= 3);
  for (const device of virtio) assert.match(device, /^virtio-[a-z0-9]+-pci,.*disable-legacy=on$/);
});

test("commandLine has what lets the share's device be added, and not the device: a VM cannot be saved with it", () => {
  assert.ok(values(run(), "-device").includes("virtio-scsi-device,id=slots"));
  const devices = values(run({ machine: "q35" }), "-device");
  assert.ok(devices.includes("pcie-root-port,id=slots,chassis=1,slot=1"));
  assert.ok(devices.includes("virtio-scsi-pci,id=disks,disable-legacy=on"));
  assert.doesNotMatch(run().join(" "), /vhost-user/);
});

test("commandLine starts a VM stopped for whoever adds a device first, which is no part of what it is", () => {
  assert.ok(!run().includes("-S"));
  assert.ok(run({}, { stopped: true }).includes("-S"));
});

test("commandLine puts each network device on its own tap, with the host's kernel behind it where it can be", () => {
  const networks = [{ tapFd: 7 }, { tapFd: 8, vhostFd: 9 }];
  const argv = run({}, { networks });
  assert.deepEqual(values(argv, "-netdev"), ["tap,id=tap0,fd=7", "tap,id=tap1,fd=8,vhost=on,vhostfd=9"]);
  assert.deepEqual(values(argv, "-device").slice(-2), [
    "virtio-net-device,id=net0,netdev=tap0,mac=02:ca:15:00:00:00,guest_announce=off",
    "virtio-net-device,id=net1,netdev=tap1,mac=02:ca:15:00:00:01,guest_announce=off",
  ]);
  assert.match(values(run({ machine: "q35" }, { networks }), "-device").at(-1) ?? "", /romfile=,/);
});

test("kernelParameters tell an emulated guest the rates it cannot measure", () => {
  const parameters = kernelParameters(SPEC);
  assert.ok(parameters.includes("tsc_early_khz=2400000"));
  assert.ok(parameters.includes("lpj=9600000"));
  assert.ok(
    !kernelParameters({ ...SPEC, accelerator: "kvm" }).some((parameter) => /tsc|lpj|mitigations/.test(parameter)),
  );
});

test("kernelParameters leave an emulated guest its locks as they are, unless it is for clones", () => {
  assert.ok(kernelParameters(SPEC).includes("noreplace-smp"));
  assert.ok(!kernelParameters(SPEC, true).includes("noreplace-smp"));
  assert.ok(!kernelParameters({ ...SPEC, accelerator: "kvm" }).includes("noreplace-smp"));
});

test("kernelParameters end with the caller's, which thereby win", () => {
  assert.deepEqual(kernelParameters({ ...SPEC, kernelParams: ["loglevel=7", "x"] }).slice(-2), ["loglevel=7", "x"]);
});

test("kernelParameters restart a guest that panics, which ends the VM", () => {
  assert.ok(kernelParameters(SPEC).includes("panic=-1"));
});
