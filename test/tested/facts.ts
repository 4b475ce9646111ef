/** What a machine is on which tests have been run. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";

const PROGRAM = join(import.meta.dirname, "../../bin/caisson");
/** `caisson check` may boot a VM. */
const LIMIT_MS = 300_000;

export interface Facts {
  /** As in "Debian 13". */
  system: string;
  kernel: string;
  qemu: string;
  virtiofsd: string;
  /** What VMs run with: kvm, or tcg. */
  accelerator: string;
  transport: string;
  cgroups: "v1" | "v2";
  systemd: boolean;
  /** Versions of engines and runtimes; an empty text for what is not installed. */
  engines: Record<Engine, string>;
}

const ENGINES = { runc: "runc", podman: "podman", containerd: "containerd", docker: "docker.io" } as const;
export type Engine = keyof typeof ENGINES;

/** @returns what this machine is. Nothing is thrown: what cannot be found out is an empty text. */
export function facts(): Facts {
  const findings = check();
  const of = (subject: string) => findings.find((finding) => finding.subject === subject)?.found ?? "";
  return {
    system: systemName(readText("/etc/os-release")),
    kernel: /^\d+\.\d+/.exec(release())?.[0] ?? "",
    qemu: /version (\S+)/.exec(of("QEMU"))?.[1] ?? "",
    virtiofsd: /version (.*)/.exec(of("virtiofsd"))?.[1] ?? "",
    accelerator: of("accelerator").split(" ")[0] ?? "",
    transport: of("transport").split(" ")[0] ?? "",
    cgroups: existsSync("/sys/fs/cgroup/cgroup.controllers") ? "v2" : "v1",
    systemd: existsSync("/run/systemd/system"),
    engines: Object.fromEntries(
      Object.entries(ENGINES).map(([name, debianPackage]) => [name, upstream(versionOf(debianPackage))]),
    ) as Facts["engines"],
  };
}

/** @returns "Debian 13" of os-release(5)'s text. */
export function systemName(text: string): string {
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, "m").exec(text)?.[1];
  return `${field("NAME")?.split(" ")[0] ?? "Linux"} ${field("VERSION_ID") ?? field("VERSION_CODENAME") ?? ""}`.trim();
}

/** @returns "5.4.2" of "5.4.2+ds1-2+b1", and of what has an epoch before it (deb-version(7)). */
export function upstream(version: string): string {
  return /^(?:\d+:)?([\d.]+)/.exec(version)?.[1] ?? "";
}

function check(): { subject: string; found: string }[] {
  try {
    return (JSON.parse(run(PROGRAM, "check", "--json")) as { findings: { subject: string; found: string }[] }).findings;
  } catch {
    // It said nothing, or not all.
    return [];
  }
}

function versionOf(debianPackage: string): string {
  return run("dpkg-query", "--show", debianPackage).split("\t")[1] ?? "";
}

function run(program: string, ...args: string[]): string {
  try {
    return execFileSync(program, args, { encoding: "utf8", timeout: LIMIT_MS, stdio: ["ignore", "pipe", "ignore"] });
  } catch (error) {
    // `caisson check` says what it has found, too, where no container can run.
    return (error as { stdout?: string }).stdout ?? "";
  }
}

function readText(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}
