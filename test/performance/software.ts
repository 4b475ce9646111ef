/** Everyday work in a container with Debian's packages: by Caisson and by runc, on the same root file system. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Process, Spec } from "../../protocol/oci.ts";
import { inNamespace } from "../harness/network.ts";
import { ALL_PACKAGES, WorkloadRootfs } from "../workloads/rootfs.ts";
import { WayOut } from "../workloads/way-out.ts";
import { ContainerShell } from "./container-shell.ts";
import type { Engine } from "./engine.ts";
import type { Figures } from "./figures.ts";
import type { Starts } from "./starts.ts";
import { CLONED_FILES, PACKAGE_MIB, UNPACKED_ENTRIES } from "./things.ts";
import type { Workspace } from "./workspace.ts";

/** The runs of each thing, one of which takes minutes under emulation. */
const MOST_RUNS = 3;
const IN_FOLDER = 100;
const MIB = 1024 * 1024;
const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";
const CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID", "SYS_CHROOT"];
/** In the container; what comes from the host, and what is made. */
const GIVEN = "/root/given";
const MADE = "/root/made";

interface Task {
  id: string;
  command: string;
  /** What makes it possible again. */
  undo: string;
}

interface Work {
  engine: Engine;
  rootfs: string;
  tasks: readonly Task[];
  wayOut: WayOut;
}

export const TASKS: readonly Task[] = [
  { id: "untar", command: `tar -xf ${GIVEN}/entries.tar -C ${MADE}`, undo: "" },
  { id: "dpkg", command: `dpkg -i ${GIVEN}/package.deb >/dev/null`, undo: "dpkg -P bench-package >/dev/null" },
  { id: "clone", command: `git clone --quiet --no-local ${GIVEN}/repository ${MADE}/clone`, undo: "" },
];
/** Most of it is Node, which takes minutes under emulation. */
export const NPM_TASKS: readonly Task[] = [
  {
    id: "npm",
    command: `cd ${MADE} && echo {} >package.json && npm install --no-audit --no-fund express@4 >/dev/null && cd /`,
    undo: "",
  },
];

/** @param progress what is told of each step, and why something is left out. */
export async function measureSoftware(
  wanted: readonly Task[],
  starts: Starts,
  workspace: Workspace,
  figures: Figures,
  runs: number,
  signal: AbortSignal,
  progress: (text: string) => void,
): Promise<void> {
  progress("software: make a root file system");
  let rootfs: WorkloadRootfs;
  try {
    rootfs = new WorkloadRootfs(ALL_PACKAGES, workspace.directory);
  } catch (error) {
    progress(`software: left out, since its root file system cannot be made: ${(error as Error).message}`);
    return;
  }
  using _ = rootfs;
  const tasks = wanted.filter(({ id }) => id !== "npm" || hasNpm(rootfs, progress));
  prepare(join(rootfs.path, GIVEN));
  using wayOut = await WayOut.open();
  for (let run = 0; run < Math.min(runs, MOST_RUNS); run++) {
    for (const engine of starts.withRunc) {
      progress(`software: run ${run + 1}, ${engine.by}`);
      await time({ engine, rootfs: rootfs.path, tasks, wayOut }, workspace, figures, signal, progress);
    }
  }
}

function hasNpm(rootfs: WorkloadRootfs, progress: (text: string) => void): boolean {
  try {
    rootfs.addNpm();
    return true;
  } catch (error) {
    progress(`software: npm is left out: ${(error as Error).message}`);
    return false;
  }
}

/** In a container of its own, so that nothing of the files is cached in the guest. */
async function time(
  { engine, rootfs, tasks, wayOut }: Work,
  workspace: Workspace,
  figures: Figures,
  signal: AbortSignal,
  progress: (text: string) => void,
): Promise<void> {
  await using container = await ContainerShell.start(engine, rootfs, workspace, signal, (spec) => widen(spec, wayOut));
  const { shell } = container;
  for (const { id, command, undo } of tasks) {
    await shell.run(`mkdir ${MADE}`);
    const seconds = await shell.run(command);
    figures.add(id, engine.by, seconds);
    progress(`software: ${id} took ${engine.by} ${seconds.toFixed(1)} s`);
    await shell.run(`${undo === "" ? "true" : undo}; rm -r ${MADE}`);
  }
}

/** What package managers need: to give files away, and a way to the registry. */
function widen(spec: Spec, { netns, proxy }: WayOut): void {
  const process = spec.process as Process;
  const capabilities = CAPABILITIES.map((name) => `CAP_${name}`);
  process.capabilities = { bounding: capabilities, effective: capabilities, permitted: capabilities };
  process.noNewPrivileges = false;
  process.env?.push(`https_proxy=${proxy}`, `npm_config_cafile=${CERTIFICATES}`, "HOME=/root");
  spec.mounts?.push({ destination: CERTIFICATES, source: CERTIFICATES, options: ["bind", "ro"] });
  inNamespace(spec, netns.path);
}

/** An archive, a Debian package and a repository. */
function prepare(folder: string): void {
  const entries = join(folder, "entries");
  writeFiles(entries, UNPACKED_ENTRIES);
  execFileSync("tar", ["-cf", join(folder, "entries.tar"), "-C", folder, "entries"]);
  rmSync(entries, { recursive: true });

  const tree = join(folder, "tree");
  const content = join(tree, "usr/share/bench-package");
  mkdirSync(join(tree, "DEBIAN"), { recursive: true });
  mkdirSync(content, { recursive: true });
  for (let file = 0; file < PACKAGE_MIB; file++) writeFileSync(join(content, String(file)), randomBytes(MIB));
  const control = {
    Package: "bench-package",
    Version: "1",
    Architecture: "all",
    Maintainer: "none",
    Description: "data",
  };
  const lines = Object.entries(control).map(([name, value]) => `${name}: ${value}\n`);
  writeFileSync(join(tree, "DEBIAN/control"), lines.join(""));
  execFileSync("dpkg-deb", ["--build", "-Zgzip", tree, join(folder, "package.deb")], { stdio: "ignore" });
  rmSync(tree, { recursive: true });

  const repository = join(folder, "repository");
  writeFiles(repository, CLONED_FILES);
  const git = (...args: string[]) => execFileSync("git", ["-C", repository, ...args], { stdio: "ignore" });
  git("init");
  git("add", ".");
  git("-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "--message", "all");
}

function writeFiles(folder: string, count: number): void {
  for (let file = 0; file < count; file++) {
    const directory = join(folder, `folder-${Math.floor(file / IN_FOLDER)}`);
    if (file % IN_FOLDER === 0) mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `file-${file}`), `${file} ${"x".repeat(file % 2000)}\n`);
  }
}
