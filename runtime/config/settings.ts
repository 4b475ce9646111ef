/** What can be set for a sandbox: config.toml's keys, and `io.caisson.*` annotations of the same names. */
import { join } from "node:path";
import type { LogLevel } from "../text/log.ts";

export interface Settings {
  /** Chosen for each sandbox: microvm, unless it is to have something that only the other one can. */
  machine: "auto" | "microvm" | "q35";
  accelerator: "auto" | "kvm" | "tcg";
  transport: "auto" | "vsock" | "virtio-serial";
  /** How the guest has root file systems and volumes. */
  sharedFs: "virtio-fs";
  /** Which volumes have POSIX access lists in the guest: those whose directory has one on the host, all, or none. */
  volumeAccessLists: "auto" | "on" | "off";
  /** Sandboxes are clones of a warm template, or boot. */
  template: "on" | "off";
  /** Emulated sandboxes are forked from a warm QEMU, or each is cloned. */
  forkServer: "on" | "off";
  /** Verbs and daemons are restored from a process that has loaded the program, or each is started. */
  snapshot: "on" | "off";
  /** Where templates are kept, best on a tmpfs, whose pages clones share; chosen by vm/template when undefined. */
  templateDir: string | undefined;
  /** Exactly this size; else sandboxSize() derives it from the container. */
  memoryMib: number | undefined;
  vcpus: number | undefined;
  /** Size of a sandbox whose container has no limit. */
  defaultMemoryMib: number;
  defaultVcpus: number;
  /** The share of the host's memory, in percent, to which a VM may grow that has no exact size. */
  maxMemoryPercent: number;
  /** The CPUs to which a VM may grow; mostVcpus() derives it when undefined. */
  maxVcpus: number | undefined;
  /** Added to the container's own limit: the guest's kernel, the agent, the page tables. */
  memoryOverheadMib: number;
  /** Name or absolute path of qemu-system-x86_64; found in PATH when undefined. */
  qemu: string | undefined;
  /** Absolute path of virtiofsd; looked for where distributions put it when undefined. */
  virtiofsd: string | undefined;
  /** The users, and groups of the same numbers, that QEMUs run as, each as another one: nothing else of the host's may be one of them. */
  qemuUidFirst: number;
  qemuUidCount: number;
  /** Absolute paths of the guest image's parts. */
  kernel: string;
  initrd: string;
  image: string;
  /** Appended to the guest kernel's command line. */
  kernelParams: readonly string[];
  logLevel: LogLevel;
  /** Where starts are traced to (OTLP over HTTP), without /v1/traces, and headers for it; not traced when undefined. */
  otelEndpoint: string | undefined;
  otelHeaders: string | undefined;
  /** Whether `caisson shell` may open a shell in guests. */
  guestShell: "on" | "off";
  /** From QEMU's start to the agent's first answer. */
  bootTimeoutSeconds: number;
  /** The annotations that a container may carry, by their keys. */
  enabledAnnotations: readonly string[];
}

/** How a key of the file is read. */
interface KeyBase {
  name: keyof Settings;
  /** Whether enabled_annotations has it unless it is set. */
  annotation: boolean;
}

export type Key = KeyBase &
  (
    | { kind: "choice"; values: readonly string[] }
    | { kind: "integer"; minimum: number; maximum: number; unit: string }
    | { kind: "path" }
    | { kind: "name" }
    | { kind: "words" }
    | { kind: "text" }
    | { kind: "keys" }
  );

/** Above those of systems and their users; (uid_t)-1 is nobody's, and numbers from 2^31 on are negative to some programs. */
const UIDS = { minimum: 1000, maximum: 2 ** 31 - 1 - 2 ** 24, unit: "" } as const;
/** A user is taken again once all others have been: by then whoever was it has ended, after a kill -9 as well. */
const UID_COUNT = { minimum: 1024, maximum: 2 ** 24, unit: "users" } as const;

const PERCENT = { kind: "integer", minimum: 0, maximum: 100, unit: "percent" } as const;

/**
 * Annotations come from whoever writes the container's configuration, on Kubernetes a pod's author. What names files of
 * the host is not theirs to set: QEMU would open any file for them, as root. Nor are kernel parameters: each set of them
 * is a template of its own, and many would fill the host's memory.
 */
export const KEYS: ReadonlyMap<string, Key> = new Map<string, Key>([
  ["machine", { name: "machine", kind: "choice", values: ["auto", "microvm", "q35"], annotation: true }],
  ["accelerator", { name: "accelerator", kind: "choice", values: ["auto", "kvm", "tcg"], annotation: true }],
  ["transport", { name: "transport", kind: "choice", values: ["auto", "vsock", "virtio-serial"], annotation: true }],
  ["shared_fs", { name: "sharedFs", kind: "choice", values: ["virtio-fs"], annotation: true }],
  [
    "volume_access_lists",
    { name: "volumeAccessLists", kind: "choice", values: ["auto", "on", "off"], annotation: true },
  ],
  ["template", { name: "template", kind: "choice", values: ["on", "off"], annotation: true }],
  ["fork_server", { name: "forkServer", kind: "choice", values: ["on", "off"], annotation: true }],
  ["snapshot", { name: "snapshot", kind: "choice", values: ["on", "off"], annotation: false }],
  ["template_dir", { name: "templateDir", kind: "path", annotation: false }],
  ["memory_mib", { name: "memoryMib", ...mebibytes(128), annotation: true }],
  ["vcpus", { name: "vcpus", ...vcpus(), annotation: true }],
  ["default_memory_mib", { name: "defaultMemoryMib", ...mebibytes(128), annotation: false }],
  ["default_vcpus", { name: "defaultVcpus", ...vcpus(), annotation: false }],
  ["max_memory_percent", { name: "maxMemoryPercent", ...PERCENT, annotation: false }],
  ["max_vcpus", { name: "maxVcpus", ...vcpus(), annotation: true }],
  ["memory_overhead_mib", { name: "memoryOverheadMib", ...mebibytes(64), annotation: false }],
  ["qemu", { name: "qemu", kind: "name", annotation: false }],
  ["virtiofsd", { name: "virtiofsd", kind: "path", annotation: false }],
  ["qemu_uid_first", { name: "qemuUidFirst", kind: "integer", ...UIDS, annotation: false }],
  ["qemu_uid_count", { name: "qemuUidCount", kind: "integer", ...UID_COUNT, annotation: false }],
  ["kernel", { name: "kernel", kind: "path", annotation: false }],
  ["initrd", { name: "initrd", kind: "path", annotation: false }],
  ["image", { name: "image", kind: "path", annotation: false }],
  ["kernel_params", { name: "kernelParams", kind: "words", annotation: false }],
  ["log_level", { name: "logLevel", kind: "choice", values: ["error", "warning", "info", "debug"], annotation: true }],
  ["otel_endpoint", { name: "otelEndpoint", kind: "text", annotation: false }],
  ["otel_headers", { name: "otelHeaders", kind: "text", annotation: false }],
  ["guest_shell", { name: "guestShell", kind: "choice", values: ["on", "off"], annotation: false }],
  [
    "boot_timeout_seconds",
    { name: "bootTimeoutSeconds", kind: "integer", minimum: 1, maximum: 3600, unit: "seconds", annotation: true },
  ],
  ["enabled_annotations", { name: "enabledAnnotations", kind: "keys", annotation: false }],
]);

declare const CAISSON_VERSION: string | undefined;

/** Beside the bundle where we are one, else where make puts it. */
const IMAGE_FOLDER =
  typeof CAISSON_VERSION === "string"
    ? join(import.meta.dirname, "image")
    : join(import.meta.dirname, "..", "..", "out", "image");

export const DEFAULTS: Readonly<Settings> = {
  machine: "auto",
  accelerator: "auto",
  transport: "auto",
  sharedFs: "virtio-fs",
  volumeAccessLists: "auto",
  template: "on",
  forkServer: "on",
  snapshot: "on",
  templateDir: undefined,
  memoryMib: undefined,
  vcpus: undefined,
  defaultMemoryMib: 2048,
  defaultVcpus: 1,
  maxMemoryPercent: 50,
  maxVcpus: undefined,
  memoryOverheadMib: 128,
  qemu: undefined,
  qemuUidFirst: 2_000_000_000,
  qemuUidCount: 65_536,
  virtiofsd: undefined,
  kernel: join(IMAGE_FOLDER, "vmlinux"),
  initrd: join(IMAGE_FOLDER, "initrd.img"),
  image: join(IMAGE_FOLDER, "root.erofs"),
  kernelParams: [],
  logLevel: "info",
  otelEndpoint: undefined,
  otelHeaders: undefined,
  guestShell: "off",
  bootTimeoutSeconds: 30,
  enabledAnnotations: [...KEYS].filter(([, { annotation }]) => annotation).map(([key]) => key),
};

/** The upper bound is what a typing error exceeds; the host's own is in size.ts. */
function mebibytes(minimum: number) {
  return { kind: "integer", minimum, maximum: 16 * 1024 * 1024, unit: "MiB" } as const;
}

/** 255 is the most a PC's interrupt controller can address without x2APIC. */
function vcpus() {
  return { kind: "integer", minimum: 1, maximum: 255, unit: "vCPUs" } as const;
}
