import type { Unit } from "./promises.ts";

/** Something that is measured, of Caisson and maybe of others. */
export interface Thing {
  id: string;
  title: string;
  unit: Unit;
  /** Where the report and the chart show it. */
  section: Section;
  /** How its promise in docs/specification.md begins. */
  promise?: string;
}

export const SECTIONS = {
  start: "Start with a template",
  cold: "Start without a template",
  parallel: "Many at once",
  verbs: "Single commands",
  memory: "Sandboxes that only sleep",
  stdio: "Standard streams",
  files: "Shared file system",
  software: "Everyday work in a container",
  network: "Network, between the host and a guest",
  pods: "Pods, through containerd's CRI",
} as const;
export type Section = keyof typeof SECTIONS;

/** How many sandboxes run when memory is measured; the last is the most that are tried. */
export const CROWDS = [1, 10, 20, 50, 100] as const;
/** The crowd whose metrics are gathered. */
export const SCRAPED_CROWD = 50;
/** How many pods run when theirs is measured. */
export const POD_CROWDS = [1, 5] as const;
/** The crowd that the promise on memory is about. */
export const PROMISED_CROWD = 20;
export const VERBS = ["create", "start", "state", "exec", "kill", "delete"] as const;
export const SMALL_FILES = 1000;
export const LARGE_MIB = 1024;
export const LARGE_FILES = 8;
export const MANY_FILES = 10_000;
export const MANY_FOLDERS = 10;
export const UNPACKED_ENTRIES = 7500;
export const PACKAGE_MIB = 30;
export const CLONED_FILES = 3000;

/** Everything that the bench measures, in the order it is shown. */
export const THINGS: readonly Thing[] = [
  { id: "run", title: "run of true", unit: "s", section: "start", promise: "`caisson run` of busybox" },
  { id: "run-clone", title: "run of true, not forked but cloned", unit: "s", section: "start" },
  { id: "boot", title: "cold boot to agent ready", unit: "s", section: "cold", promise: "`caisson run` cold" },
  { id: "cold", title: "run of true without a template", unit: "s", section: "cold" },
  { id: "template", title: "building the template and its fork server", unit: "s", section: "cold" },
  {
    id: "parallel",
    title: "20 at once, until all have run true",
    unit: "s",
    section: "parallel",
    promise: "20 sandboxes at once",
  },
  ...VERBS.map((verb) => ({
    id: verb,
    title: verb === "exec" ? "exec of true" : verb,
    unit: "s" as const,
    section: "verbs" as const,
    ...(verb === "exec" ? { promise: "`caisson exec` of `true`" } : {}),
  })),
  ...CROWDS.map((count) => ({
    id: `pss-${count}`,
    title: `PSS of one, ${count} running`,
    unit: "MiB" as const,
    section: "memory" as const,
    ...(count === PROMISED_CROWD ? { promise: "PSS per sandbox" } : {}),
  })),
  { id: "idle", title: "CPU of one, idle", unit: "%", section: "memory", promise: "CPU of an idle sandbox" },
  { id: "crowd", title: "running at once", unit: "sandboxes", section: "memory" },
  { id: "template-new", title: "the template's memory, when it is new", unit: "MiB", section: "memory" },
  { id: "template-used", title: "the template's memory, after all that was measured", unit: "MiB", section: "memory" },
  { id: "gathering", title: "starting all of them", unit: "s", section: "memory" },
  { id: "stdin", title: "stdin", unit: "MiB/s", section: "stdio" },
  { id: "stdout", title: "stdout", unit: "MiB/s", section: "stdio" },
  {
    id: "peak",
    title: "the daemon's peak memory",
    unit: "MiB",
    section: "stdio",
    promise: "daemon's memory while 1 GiB",
  },
  { id: "read", title: "sequential read", unit: "MiB/s", section: "files" },
  { id: "write", title: "sequential write, flushed", unit: "MiB/s", section: "files" },
  ...["create", "stat", "read", "remove"].map((what) => ({
    id: `small-${what}`,
    title: `${what} ${SMALL_FILES} small files`,
    unit: "s" as const,
    section: "files" as const,
  })),
  { id: "large-write", title: `write ${LARGE_MIB} MiB in ${LARGE_FILES} files, flushed`, unit: "s", section: "files" },
  ...["create", "stat", "remove"].map((what) => ({
    id: `many-${what}`,
    title: `${what} ${MANY_FILES} empty files in ${MANY_FOLDERS} folders`,
    unit: "s" as const,
    section: "files" as const,
  })),
  { id: "untar", title: `tar x of ${UNPACKED_ENTRIES} files`, unit: "s", section: "software" },
  { id: "dpkg", title: `dpkg -i of a package of ${PACKAGE_MIB} MiB`, unit: "s", section: "software" },
  { id: "clone", title: `git clone of ${CLONED_FILES} files`, unit: "s", section: "software" },
  { id: "npm", title: "npm install of express", unit: "s", section: "software" },
  { id: "net-in", title: "TCP to the guest", unit: "MiB/s", section: "network" },
  { id: "net-out", title: "TCP to the host", unit: "MiB/s", section: "network" },
  { id: "ping", title: "round trip", unit: "ms", section: "network" },
  { id: "pod", title: "pod, to its container's first byte", unit: "s", section: "pods" },
  { id: "scrape", title: `metrics of ${SCRAPED_CROWD}`, unit: "s", section: "memory" },
  ...POD_CROWDS.map((count) => ({
    id: `pod-pss-${count}`,
    title: `PSS of a pod with one container, ${count} running`,
    unit: "MiB" as const,
    section: "pods" as const,
  })),
];
