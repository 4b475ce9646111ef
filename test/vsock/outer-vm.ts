/**
 * A VM whose kernel has what the host's may lack (vhost_vsock, vsock_loopback), and whose files are the host's: what it
 * writes stays in its memory. Emulated, so that it works anywhere.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { execa, execaSync } from "execa";
import { type CpioEntry, packCpio } from "../../guest-image/cpio.ts";
import { type Kernel, prepareKernel } from "./kernel.ts";

const ROOT = resolve(import.meta.dirname, "../..");
/** What init needs before it can see the host's files. */
const MODULES = ["virtio_pci", "9p", "9pnet_virtio", "overlay"];
const QEMU = "qemu-system-x86_64";
const SILENCE_PAUSE_MS = 2000;
const EXIT_STATUS = /\nouter-vm: exit status (\d+)\n$/;

export interface OuterVmOptions {
  /** Names the folder below out/test-vsock that keeps what the script and the kernel printed, and what the script left in /mnt. */
  name: string;
  /** For booting and the script together. */
  timeoutMs: number;
  /** How long nothing may be printed before the VM is taken for frozen, init's sign of life every 10 s included; 120 s by default. */
  silenceMs?: number;
  /** 4096 by default. */
  memoryMib?: number;
  /** More of QEMU's arguments, for devices. */
  devices?: string[];
  /** More of its kernel's parameters. */
  kernelParams?: string[];
  /** Whether systemd is PID 1 and runs the script as a service, on a kernel without cgroup v1. */
  systemd?: boolean;
}

export interface OuterVmResult {
  exitStatus: number;
  /** The script's standard output and error. */
  output: string;
}

/** The VM made no progress any more: a race of QEMU's emulation, not of what ran in it. */
class FrozenError extends Error {}

/** Does what runInOuterVm() does, and once more when the VM has frozen, of which `tell` is told. */
export async function runInSteadyVm(
  script: string,
  options: OuterVmOptions,
  tell: (message: string) => void,
): Promise<OuterVmResult> {
  try {
    return await runInOuterVm(script, options);
  } catch (error) {
    if (!(error instanceof FrozenError)) throw error;
    tell(`it is done once more, since the VM has frozen. ${error.message}`);
    return await runInOuterVm(script, options);
  }
}

/**
 * Runs a shell script as root in the VM, in the folder of the project. /tmp, /run and /dev/shm are empty there; what it
 * leaves in /mnt is kept.
 * @throws Error when the VM did not boot, did not end in time, froze or ended without the script's exit status, with what
 *   the script and the kernel printed.
 */
export async function runInOuterVm(script: string, options: OuterVmOptions): Promise<OuterVmResult> {
  const folder = join(ROOT, "out/test-vsock", options.name);
  const file = (name: string) => join(folder, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(file("left"), { recursive: true });
  const kernel = prepareKernel();
  writeFileSync(file("initramfs.cpio"), makeInitramfs(kernel, script, options.systemd === true ? "systemd" : "script"));
  const vm = execa(QEMU, qemuArguments(kernel.image, folder, options), {
    timeout: options.timeoutMs,
    reject: false,
    stdin: "ignore",
    stripFinalNewline: false,
    forceKillAfterDelay: 1000,
  });
  const silenceMs = options.silenceMs ?? 120_000;
  const watch = watchSilence([file("output.log"), file("console.log")], silenceMs, () => vm.kill());
  const { stderr, timedOut, exitCode } = await vm;
  clearInterval(watch.timer);
  rmSync(file("initramfs.cpio"));
  const output = contents(file("output.log"));
  const status = EXIT_STATUS.exec(output);
  if (status !== null) return { exitStatus: Number(status[1]), output: output.slice(0, status.index) };
  const log = contents(file("console.log")).split("\n").slice(-60).join("\n");
  const told = (reason: string) =>
    `The outer VM ${reason}; see ${folder}.\n--- output\n${output}${stderr}\n--- console\n${log}`;
  if (timedOut) throw new Error(told(`did not end within ${options.timeoutMs} ms`));
  if (watch.silent()) throw new FrozenError(told(`froze: it printed nothing for ${silenceMs} ms`));
  throw new Error(told(`ended early (QEMU: ${exitCode})`));
}

/** Calls `frozen` once none of the files has grown for so long. */
function watchSilence(files: readonly string[], limitMs: number, frozen: () => void) {
  let size = -1;
  let grown = performance.now();
  let silent = false;
  const timer = setInterval(() => {
    const now = files.reduce((sum, file) => sum + contents(file).length, 0);
    if (now !== size) grown = performance.now();
    size = now;
    if (performance.now() - grown < limitMs) return;
    silent = true;
    frozen();
  }, SILENCE_PAUSE_MS);
  return { timer, silent: () => silent };
}

function contents(file: string): string {
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

/**
 * How many CPUs the VM has. QEMU before 8.1 translates code while another of the guest's CPUs changes it (a kernel that
 * patches itself, a JIT compiler), and keeps what it read half-way: the guest then dies of a trap that is no longer there, or hangs.
 */
function cpus(): number {
  const [, major = "0", minor = "0"] = /version (\d+)\.(\d+)/.exec(execaSync(QEMU, ["--version"]).stdout) ?? [];
  return Number(major) * 100 + Number(minor) >= 801 ? 2 : 1;
}

function qemuArguments(kernel: string, folder: string, options: OuterVmOptions): string[] {
  const append = ["console=ttyS0 quiet panic=-1 mitigations=off", ...(options.kernelParams ?? [])];
  if (options.systemd === true) append.push("cgroup_no_v1=all systemd.unit=outer-vm.target systemd.firstboot=off");
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    // q35 has the timers that the kernel calibrates the TSC against, however busy the host.
    ...["-machine", "q35", "-accel", "tcg,tb-size=1024", "-cpu", "max"],
    ...["-m", `${options.memoryMib ?? 4096}M`, "-smp", `${cpus()}`],
    ...["-kernel", kernel, "-initrd", join(folder, "initramfs.cpio"), "-append", append.join(" ")],
    ...["-chardev", `file,id=console,path=${join(folder, "console.log").replaceAll(",", ",,")}`],
    ...["-chardev", `file,id=output,path=${join(folder, "output.log").replaceAll(",", ",,")}`],
    ...["-serial", "chardev:console", "-serial", "chardev:output"],
    ...["-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"],
    ...["-device", "virtio-9p-pci,fsdev=host,mount_tag=host"],
    ...["-fsdev", `local,id=left,path=${join(folder, "left").replaceAll(",", ",,")},security_model=none`],
    ...["-device", "virtio-9p-pci,fsdev=left,mount_tag=left", "-device", "virtio-rng-pci"],
    ...(options.devices ?? []),
  ];
}

/** Busybox, the modules and their order, init, and the script. */
function makeInitramfs(kernel: Kernel, script: string, pid1: "script" | "systemd"): Buffer {
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
    file("pid1", pid1),
  ]);
}

/** In the order to load them. */
function moduleFiles({ folder, version }: Kernel): string[] {
  const { stdout } = execaSync("/sbin/modprobe", ["-d", folder, "-S", version, "-a", "--show-depends", ...MODULES]);
  const files = stdout.split("\n").flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? []);
  return [...new Set(files)];
}
