import { accessSync, constants, existsSync, statfsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import { cgroupMounts } from "../cgroup/cgroup.ts";
import { DEFAULT_SETTINGS_FILE, loadSettings, type Settings } from "../config/load.ts";
import { templateBytes } from "../factory/template/space.ts";
import { chooseTransport, chooseVirtiofsd, qemuUsers, templateStore, usableFacts } from "../factory/vm-config.ts";
import { networkProblem, vhostNetProblem } from "../network/kernel-features.ts";
import { otherThanHostRoot } from "../process/host-root.ts";
import { readBounded, SMALL_FILE } from "../text/bounded-read.ts";
import { formatError } from "../text/errors.ts";
import { print } from "../text/stdout.ts";
import { chooseAccelerator, judgeKvm } from "../vm/accelerator.ts";
import { findQemu, type Qemu } from "../vm/qemu.ts";
import type { Accelerator } from "../vm/spec.ts";
import { vfioProblem } from "../vm/vfio-group.ts";
import { vsockProblem } from "../vm/vsock.ts";
import { inspectBoot, notBooted } from "./check-boot.ts";
import { inspectNode } from "./check-kubernetes.ts";
import { type Finding, isUsable, reportJson, reportText } from "./check-report.ts";
import { inspectUsers } from "./check-users.ts";
import { type Globals, verb } from "./command.ts";
import { Foreground } from "./foreground.ts";
import { VERSION } from "./version.ts";

const TMPFS_MAGIC = 0x01021994;
const MIB = 1024 * 1024;

export function command(globals: Globals): Command {
  return verb("check", "Says what this host can do, what containers will use, and what to do about the rest.")
    .option("--json", "as JSON")
    .option("--kubernetes", "also what a Kubernetes node needs")
    .action(async ({ json, kubernetes }: { json?: boolean; kubernetes?: boolean }) => {
      const findings = await inspect(globals.config);
      if (kubernetes === true) findings.push(...(await inspectNode()));
      print(json === true ? reportJson(findings) : reportText(findings));
      process.exitCode = isUsable(findings) ? 0 : 1;
    });
}

/** What the host has, and what comes of it. */
export async function inspect(settingsFile: string | undefined): Promise<Finding[]> {
  const findings: Finding[] = [
    { subject: "caisson", status: "ok", found: `version ${VERSION}, Node.js ${process.version}` },
    root(),
  ];
  let settings: Settings;
  try {
    settings = loadSettings(settingsFile);
    findings.push({ subject: "settings", status: "ok", found: settingsFile ?? defaultSettings() });
  } catch (error) {
    return [...findings, failed("settings", error)];
  }
  const facts = usableFacts(settings);
  findings.push({ subject: "machine", status: "ok", found: settings.machine }, ...image(settings));
  const qemu = await findQemu(facts, settings.qemu).catch((error: unknown) => failed("QEMU", error));
  let accelerator: Accelerator | undefined;
  if ("subject" in qemu) findings.push(qemu);
  else {
    findings.push({ subject: "QEMU", status: "ok", found: `${qemu.path}, version ${qemu.version.join(".")}` });
    const found = await accelerators(settings, facts, qemu);
    accelerator = found.accelerator;
    findings.push(...found.findings);
  }
  findings.push(await files(settings), inspectUsers(qemuUsers(settings)));
  findings.push(...transports(settings, accelerator), ...network(), devices(), cgroups(), templates(settings));
  return [...findings, await boots(settings, findings)];
}

async function boots(settings: Settings, findings: readonly Finding[]): Promise<Finding> {
  const missing = findings.filter(({ status }) => status === "failed").map(({ subject }) => subject);
  if (missing.length > 0) return notBooted(missing);
  using foreground = new Foreground();
  try {
    return await inspectBoot(settings, foreground.interrupted);
  } catch (error) {
    foreground.interrupted.throwIfAborted();
    return failed("VM", error);
  }
}

function defaultSettings(): string {
  return existsSync(DEFAULT_SETTINGS_FILE) ? DEFAULT_SETTINGS_FILE : `defaults: there is no ${DEFAULT_SETTINGS_FILE}`;
}

function root(): Finding {
  const other = otherThanHostRoot();
  if (other === undefined) return { subject: "user", status: "ok", found: "root" };
  return { subject: "user", status: "failed", found: other, remedy: "Run caisson as the host's root." };
}

async function files(settings: Settings): Promise<Finding> {
  try {
    const { path, flavour, version } = await chooseVirtiofsd(settings);
    const kind = flavour === "c" ? "QEMU's" : "the Rust one";
    return { subject: "virtiofsd", status: "ok", found: `${path}, version ${version} (${kind})` };
  } catch (error) {
    return failed("virtiofsd", error);
  }
}

/** /dev/kvm that opens is not KVM that works: the verdict is a kernel's, which was booted under it. */
async function accelerators(
  settings: Settings,
  directory: string | undefined,
  qemu: Qemu,
): Promise<{ findings: Finding[]; accelerator?: Accelerator }> {
  const users = qemuUsers(settings);
  const options = { directory, qemu, kernel: settings.kernel, users, signal: new AbortController().signal };
  try {
    const verdict = await judgeKvm(options);
    const kvm: Finding = verdict.usable
      ? { subject: "KVM", status: "ok", found: "works: a kernel booted under it" }
      : {
          subject: "KVM",
          status: "note",
          found: `not usable: ${verdict.why}`,
          remedy: "Enable (nested) virtualisation on this host; until then guests are emulated and slower.",
        };
    const { accelerator } = await chooseAccelerator(settings.accelerator, options);
    const chosen: Finding = { subject: "accelerator", status: "ok", found: `${accelerator} will be used` };
    return { findings: [kvm, chosen], accelerator };
  } catch (error) {
    return { findings: [failed("accelerator", error)] };
  }
}

function transports({ transport }: Settings, accelerator: Accelerator | undefined): Finding[] {
  const problem = vsockProblem();
  const vsock: Finding =
    problem === undefined
      ? { subject: "vhost_vsock", status: "ok", found: "works" }
      : { subject: "vhost_vsock", status: "note", found: problem.why, remedy: problem.remedy };
  try {
    return [
      vsock,
      { subject: "transport", status: "ok", found: `${chooseTransport(transport, accelerator ?? "kvm")} will be used` },
    ];
  } catch (error) {
    return [vsock, failed("transport", error)];
  }
}

/** Tried out in a network namespace of its own, since modules load when they are asked for. */
function network(): Finding[] {
  const problem = networkProblem();
  const subject = "network";
  if (problem !== undefined) {
    const { why, remedy } = problem;
    return [{ subject, status: "note", found: `only containers without one can run: ${why}`, remedy }];
  }
  const slow = vhostNetProblem();
  return [
    { subject, status: "ok", found: "tap interfaces and traffic control work" },
    slow === undefined
      ? { subject: "vhost_net", status: "ok", found: "will be used" }
      : { subject: "vhost_net", status: "note", found: slow.why, remedy: slow.remedy },
  ];
}

function image({ kernel, initrd, image: root }: Settings): Finding[] {
  const findings: Finding[] = [];
  for (const [subject, path] of Object.entries({ kernel, initrd, "guest image": root })) {
    try {
      accessSync(path, constants.R_OK);
      findings.push({
        subject,
        status: "ok",
        found: subject === "guest image" ? `${path}${manifestNote(path)}` : path,
      });
    } catch (error) {
      findings.push({
        subject,
        status: "failed",
        found: `${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`,
        remedy: "Build it with `make guest-image`, or name another one in the settings.",
      });
    }
  }
  return findings;
}

/** What the image was built from, if it is one of ours: guest-image writes a manifest beside it. */
function manifestNote(image: string): string {
  try {
    const text = readBounded(join(dirname(image), "manifest.json"), SMALL_FILE).toString();
    const { id, kernelRelease } = JSON.parse(text) as { id: string; kernelRelease: string };
    return `, id ${id.slice(0, 12)}, kernel ${kernelRelease}`;
  } catch {
    return ", of unknown origin";
  }
}

function devices(): Finding {
  const subject = "PCI devices";
  const problem = vfioProblem();
  if (problem === undefined) return { subject, status: "ok", found: "those on vfio-pci can be passed to VMs" };
  return { subject, status: "note", found: `none can be passed to a VM: ${problem.why}`, remedy: problem.remedy };
}

function cgroups(): Finding {
  const mounts = cgroupMounts();
  const subject = "host cgroups";
  if (mounts.length === 0) {
    return {
      subject,
      status: "note",
      found: "none are mounted, so the host does not account for sandboxes",
      remedy: "Mount cgroup2 on /sys/fs/cgroup.",
    };
  }
  const v1 = mounts.filter(({ kind }) => kind !== "v2").length;
  const version = v1 === 0 ? "v2" : mounts.length > v1 ? "v1 and v2 (hybrid)" : "v1";
  return { subject, status: "ok", found: `${version}; inside the VM it is v2 in any case` };
}

function templates(settings: Settings): Finding {
  const subject = "templates";
  if (settings.template === "off") {
    return { subject, status: "note", found: "off: every sandbox boots", remedy: 'Set template = "on" to clone them.' };
  }
  try {
    const { directory } = templateStore(settings);
    const { type, bavail, bsize } = statfsSync(directory);
    const freeMib = Math.floor((bavail * bsize) / MIB);
    const found = `${directory}, ${freeMib} MiB free`;
    if (type !== TMPFS_MAGIC) {
      return {
        subject,
        status: "note",
        found: `${found}, not on a tmpfs, so clones read the disk`,
        remedy: "Name a folder on a tmpfs in template_dir.",
      };
    }
    const neededMib = Math.ceil(templateBytes(settings.memoryMib ?? settings.defaultMemoryMib) / MIB);
    if (freeMib >= neededMib) return { subject, status: "ok", found };
    return {
      subject,
      status: "note",
      found: `${found}, and one may need ${neededMib} MiB: without it sandboxes boot`,
      remedy: "Make the tmpfs larger, or set default_memory_mib lower.",
    };
  } catch (error) {
    return { ...failed(subject, error), status: "note" };
  }
}

function failed(subject: string, error: unknown): Finding {
  const remedy = error instanceof CaissonError ? error.remedy : undefined;
  const found = remedy === undefined ? formatError(error) : (error as Error).message;
  return { subject, status: "failed", found, remedy };
}
