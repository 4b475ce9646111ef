/**
 * Real software in a container, with its files in several places, each program as the user that its package uses.
 * WORKLOADS=all (make test-workloads) runs each of them everywhere; otherwise it is a selection that takes a minute or two.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { Host } from "../harness/host.ts";
import { inNetns } from "../harness/network.ts";
import { ALL_PACKAGES, QUICK_PACKAGES, WorkloadRootfs } from "./rootfs.ts";
import { PLACES, type Place, WORKLOADS, type Workload } from "./table.ts";
import { WayOut } from "./way-out.ts";

const isAll = process.env["WORKLOADS"] === "all";
/** podman's default ones. */
const CAPABILITIES =
  "CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT NET_RAW AUDIT_WRITE MKNOD";
const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";
const PROGRAMS = "/workloads";
/** Under emulation, beside another VM. */
const LIMIT_SECONDS = isAll ? 500 : 240;
const MIRROR_LIMIT_MS = 20_000;
const FILES_LIMIT = 4096;
/** The init reaps what the programs leave to it. */
const INIT = ["bash", "-c", "trap exit TERM; while :; do sleep 1000 & wait; done"];

const host = new Host();
const volume = mkdtempSync(join(tmpdir(), "caisson-volume-"));
// Other users go through it to what is theirs.
chmodSync(volume, 0o755);
let rootfs: WorkloadRootfs | undefined;
let wayOut: WayOut | undefined;
let bundle: Bundle | undefined;
let id = "";
/** Why nothing can be run here. */
let obstacle: string | undefined;
/** The same of those that need it. */
const without: { npm?: string; mirror?: string } = {};

before(async () => {
  if (process.getuid?.() !== 0) {
    obstacle = "only root can make a root file system";
    return;
  }
  try {
    rootfs = new WorkloadRootfs(isAll ? ALL_PACKAGES : QUICK_PACKAGES);
  } catch (error) {
    obstacle = `a root file system with the software cannot be made: ${(error as Error).message}`;
    return;
  }
  if (isAll) await prepareNetwork(rootfs);
  // Other users go through it to what is theirs.
  mkdirSync(join(rootfs.path, PLACES.root), { recursive: true, mode: 0o755 });
  bundle = bundleOf(rootfs.path);
  if (wayOut !== undefined) giveNetwork(bundle, wayOut);
  id = await host.start(bundle);
});
after(async () => {
  await host[Symbol.asyncDispose]();
  bundle?.[Symbol.dispose]();
  rootfs?.[Symbol.dispose]();
  wayOut?.[Symbol.dispose]();
  rmSync(volume, { recursive: true });
});

function bundleOf(path: string): Bundle {
  const made = new Bundle(INIT);
  const { spec, process } = made;
  const capabilities = CAPABILITIES.split(" ").map((name) => `CAP_${name}`);
  spec.root = { path, readonly: false };
  spec.mounts?.push(
    { destination: PLACES.volume, source: volume, options: ["bind"] },
    { destination: PLACES.tmpfs, type: "tmpfs", source: "tmpfs", options: ["mode=755", "size=1g"] },
    { destination: PROGRAMS, source: join(import.meta.dirname, "programs"), options: ["bind", "ro"] },
  );
  process.capabilities = { bounding: capabilities, effective: capabilities, permitted: capabilities };
  process.noNewPrivileges = false;
  process.rlimits = [{ type: "RLIMIT_NOFILE", soft: FILES_LIMIT, hard: FILES_LIMIT }];
  return made.write();
}

async function prepareNetwork(rootfs: WorkloadRootfs): Promise<void> {
  wayOut = await WayOut.open();
  try {
    await fetch(mirror(), { method: "HEAD", signal: AbortSignal.timeout(MIRROR_LIMIT_MS) });
  } catch (error) {
    without.mirror = `the mirror of Debian is not reached: ${(error as Error).message}`;
  }
  try {
    rootfs.addNpm();
  } catch (error) {
    without.npm = `npm cannot be had: ${(error as Error).message}`;
  }
}

function mirror(): string {
  return execFileSync(join(import.meta.dirname, "../../scripts/mirror.sh"), { encoding: "utf8" }).trim();
}

/** The mirror and the registry by a proxy, with the certificates that this machine trusts. */
function giveNetwork(bundle: Bundle, { netns, proxy }: WayOut): void {
  const { process, spec } = bundle;
  process.env?.push(
    `http_proxy=${proxy}`,
    `https_proxy=${proxy}`,
    `MIRROR=${mirror()}`,
    `CERTIFICATES=${CERTIFICATES}`,
  );
  spec.mounts?.push({ destination: CERTIFICATES, source: CERTIFICATES, options: ["bind", "ro"] });
  inNetns(bundle, netns.path);
}

/** Runs the program to its end in the container. What it prints is why it fails. */
async function run({ file }: Workload, place: Place, size: number): Promise<void> {
  const limit = ["timeout", "--kill-after=10", String(LIMIT_SECONDS)];
  const command = [...limit, `${PROGRAMS}/${file}`, PLACES[place], ...(size > 0 ? [String(size)] : [])];
  const { exitCode, stdout, stderr } = await host.run(["exec", id, ...command], {
    limitMs: (LIMIT_SECONDS + 60) * 1000,
  });
  assert.equal(exitCode, 0, `${file} in ${PLACES[place]} ended with ${exitCode}:\n${stdout}${stderr}`);
}

for (const workload of WORKLOADS) {
  const { title, quick, size = 0, needs, impossible } = workload;
  const runs = isAll
    ? (Object.keys(PLACES) as Place[]).map((place) => ({ place, size }))
    : quick === undefined
      ? []
      : [quick];
  for (const { place, size } of runs) {
    test(`${place}: ${title}`, { skip: impossible?.[place] ?? false }, async (t) => {
      const why = obstacle ?? (needs && without[needs]);
      if (why !== undefined) t.skip(why);
      else await run(workload, place, size);
    });
  }
}
