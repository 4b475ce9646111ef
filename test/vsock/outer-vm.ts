/**
 * A VM whose kernel has what the host's may lack (vhost_vsock, vsock_loopback), and whose files are the host's: what it
 * writes stays in its memory. Emulated, so that it works anywhere.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { execa, execaSync } from "execa";
import { type CpioEntry, packCpio } from "../../guest-image/cpio.ts";
import { type Kernel, prepareKernel } from "./kernel.ts";

const ROOT = resolve(import.meta.dirname, "../..");
/** What init needs before it can see the host's files. */
const MODULES = ["virtio_pci", "9p", "9pnet_virtio", "overlay"];
const EXIT_STATUS = /\nouter-vm: exit status (\d+)\n$/;

export interface OuterVmOptions {
  /** For booting and the script together. */
  timeoutMs: number;
  /** 4096 by default. */
  memoryMib?: number;
  /** More of QEMU's arguments, for devices. */
  devices?: string[];
}

export interface OuterVmResult {
  exitStatus: number;
  /** The script's standard output and error. */
  output: string;
}

/**
 * Runs a shell script as root in the VM, in the folder of the project. /tmp, /run and /dev/shm are empty there.
 * @throws Error when the VM did not boot, did not end in time or ended without the script's exit status, with what the
 *   script and the kernel printed.
 */
export async function runInOuterVm(script: string, options: OuterVmOptions): Promise<OuterVmResult> {
  const folder = mkdtempSync(join(tmpdir(), "caisson-outer-vm-"));
  try {
    const kernel = prepareKernel();
    const initramfs = join(folder, "initramfs.cpio");
    writeFileSync(initramfs, makeInitramfs(kernel, script));
    const consoleLog = join(folder, "console.log");
    const { stdout, stderr, timedOut, exitCode } = await execa(
      "qemu-system-x86_64",
      qemuArguments(kernel.image, initramfs, consoleLog, options),
      {
        timeout: options.timeoutMs,
        reject: false,
        stdin: "ignore",
        stripFinalNewline: false,
        forceKillAfterDelay: 1000,
      },
    );
    const status = EXIT_STATUS.exec(stdout);
    if (status === null) {
      const reason = timedOut ? `did not end within ${options.timeoutMs} ms` : `ended early (QEMU: ${exitCode})`;
      const log = readFileSync(consoleLog, "utf8").split("\n").slice(-40).join("\n");
      throw new Error(`The outer VM ${reason}.\n--- output\n${stdout}${stderr}\n--- console\n${log}`);
    }
    return { exitStatus: Number(status[1]), output: stdout.slice(0, status.index) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function qemuArguments(kernel: string, initramfs: string, consoleLog: string, options: OuterVmOptions): string[] {
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    // q35 has the timers that the kernel calibrates the TSC against, however busy the host.
    ...["-machine", "q35", "-accel", "tcg,tb-size=1024", "-cpu", "max"],
    // The VM has one CPU: QEMU before 8.1 translates code while another of the guest's CPUs changes it (a kernel that patches itself, a
    // JIT compiler), and keeps what it read half-way. The guest then dies of a trap that is no longer there, or hangs.
    ...["-m", `${options.memoryMib ?? 4096}M`, "-smp", "1"],
    ...["-kernel", kernel, "-initrd", initramfs, "-append", "console=ttyS0 quiet panic=-1 mitigations=off"],
    ...["-chardev", `file,id=console,path=${consoleLog}`, "-serial", "chardev:console", "-serial", "stdio"],
    ...["-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"],
    ...["-device", "virtio-9p-pci,fsdev=host,mount_tag=host", "-device", "virtio-rng-pci"],
    ...(options.devices ?? []),
  ];
}

/** Busybox, the modules and their order, init, and the script. */
function makeInitramfs(kernel: Kernel, script: string): Buffer {
  const modules = moduleFiles(kernel);
  const file = (path: string, data: Buffer | string, executable = false): CpioEntry => ({
    type: "file",
    path,
    data: Buffer.from(data),
    executable,
  });
  return packCpio([
    { type: "folder", path: "bin" },
    { type: "folder", path: "dev" },
    { type: "character-device", path: "dev/console", major: 5, minor: 1 },
    { type: "folder", path: "modules" },
    file("bin/busybox", readFileSync("/bin/busybox"), true),
    ...modules.map((path) => file(`modules/${basename(path)}`, readFileSync(path))),
    file("modules/order", modules.map((path) => `${basename(path)}\n`).join("")),
    file("modules/folder", join(kernel.folder, "lib/modules")),
    file("init", readFileSync(join(import.meta.dirname, "init.sh")), true),
    file("folder", ROOT),
    file("script", script),
  ]);
}

/** In the order to load them. */
function moduleFiles({ folder, version }: Kernel): string[] {
  const { stdout } = execaSync("/sbin/modprobe", ["-d", folder, "-S", version, "-a", "--show-depends", ...MODULES]);
  const files = stdout.split("\n").flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? []);
  return [...new Set(files)];
}
