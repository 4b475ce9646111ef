/** The process that makes a fork server: a clone that has run containers before, and is forked from then on. */
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { Socket } from "node:net";
import { setPriority } from "node:os";
import { join } from "node:path";
import { builtFile } from "../../../../native/addon.ts";
import { leaveCgroups, SharedCgroup } from "../../../cgroup/cgroup.ts";
import { enterNetworkNamespace } from "../../../network/namespace.ts";
import { VmTaps } from "../../../network/vm-taps.ts";
import { endInWords } from "../../../process/last-words.ts";
import { STARTER_FD } from "../../../process/spawn-self.ts";
import { dropMounts, enterPrivateMountNamespace } from "../../../storage/mount-namespace.ts";
import { Share } from "../../../storage/share.ts";
import type { Virtiofsd } from "../../../storage/virtiofsd/find.ts";
import { startVirtiofsd } from "../../../storage/virtiofsd/process.ts";
import { formatError } from "../../../text/errors.ts";
import { log } from "../../../text/log.ts";
import { idle } from "../../../vm/idle.ts";
import type { VmSpec } from "../../../vm/spec.ts";
import { MAKERS_CGROUP } from "../../deferred.ts";
import type { Template } from "../../template/template.ts";
import { chooseVirtiofsd, chooseVm, templateStore } from "../../vm-config.ts";
import { WARM_UP_LIMIT_FACTOR, WARM_UP_PROGRAM, warmUpForked, warmUpWith } from "../../warm-up/warm-up.ts";
import { FutureForkServer } from "../start.ts";
import { lockForkServer } from "./lock.ts";
import { DONE, type ForkServerParams } from "./spawn.ts";

/** Each over a connection of its own, as the sandboxes' will be; after so many hardly anything is left to be translated. */
const WARM_UPS = 4;
const OWN_FOLDER = "maker-";
/** Each has memory of its own, and few shapes of VMs are in use at a time: beside a new one so many stay, the last used. */
const FORK_SERVERS = 3;

/** Makes a fork server, which outlives this process; ends this process. */
export async function makeForkServer(params: ForkServerParams): Promise<never> {
  log.level = "error";
  endInWords({ exitCode: 1, tell: (sentence) => writeSync(STARTER_FD, sentence) });
  // The priority would be that of whoever happens to need the fork server first.
  setPriority(0);
  enterPrivateMountNamespace();
  const starter = new Socket({ fd: STARTER_FD });
  starter.on("error", () => {});
  const cgroup = new SharedCgroup(MAKERS_CGROUP);
  let said = DONE;
  try {
    await make(params);
  } catch (error) {
    said = formatError(error);
    leaveCgroups();
    cgroup.remove();
  }
  await new Promise<void>((resolve) => starter.end(said, () => resolve()));
  process.exit(said === DONE ? 0 : 1);
}

async function make({ settings, size, devices }: ForkServerParams): Promise<void> {
  const limitMs = settings.bootTimeoutSeconds * 1000 * WARM_UP_LIMIT_FACTOR;
  const signal = AbortSignal.timeout(limitMs);
  // QEMU stays in it, and so do its copies: their taps are in the sandboxes'.
  enterNetworkNamespace(undefined);
  const taps = new VmTaps();
  for (let device = 0; device < devices; device++) taps.add(false);
  const shape = await chooseVm(settings, size, signal);
  const virtiofsd = await chooseVirtiofsd(settings);
  const spec = { ...shape, networks: taps.devices, consoleLog: "" };
  const templates = templateStore(settings);
  using template = await templates.prepare(spec, warmUpWith(virtiofsd, spec), { signal, limitMs });
  const lock = lockForkServer(template.folder);
  if (lock === undefined) return;
  for (const name of readdirSync(template.folder)) {
    if (name.startsWith(OWN_FOLDER)) rmSync(join(template.folder, name), { recursive: true });
  }
  const folder = mkdtempSync(join(template.folder, OWN_FOLDER));
  try {
    // A fork server that cannot be asked any more would stay.
    templates.endForkServer(template.key);
    const others = templates.list().filter(({ forkServer }) => forkServer !== undefined);
    for (const { key } of others.slice(0, -FORK_SERVERS)) templates.endForkServer(key);
    await makeIn(folder, template, spec, virtiofsd, signal);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    taps.release();
    closeSync(lock);
  }
  // Nothing of the host may wait for QEMU to be unmounted.
  dropMounts(["/", "/proc"]);
}

async function makeIn(
  folder: string,
  template: Template,
  devices: VmSpec,
  virtiofsd: Virtiofsd,
  signal: AbortSignal,
): Promise<void> {
  const spec = { ...devices, consoleLog: join(folder, "console.log") };
  const rootfs = join(folder, "rootfs");
  for (const name of ["bin", "etc"]) mkdirSync(join(rootfs, name), { recursive: true });
  // Behind a symbolic link, as busybox' applets and most shells are.
  copyFileSync(builtFile("container-init"), join(rootfs, "bin", `${WARM_UP_PROGRAM}-file`));
  symlinkSync(`${WARM_UP_PROGRAM}-file`, join(rootfs, "bin", WARM_UP_PROGRAM));
  writeFileSync(join(rootfs, "etc", "passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  using undo = new DisposableStack();
  const share = undo.adopt(new Share(join(folder, "share")), (each) => each.close());
  await using server = await FutureForkServer.start(spec, template, folder, signal);
  await using ends = new AsyncDisposableStack();
  const files = ends.adopt(startVirtiofsd(virtiofsd, share.served), (each) => each.kill());
  await server.addShare(files, signal);
  for (let round = 0; round < WARM_UPS; round++) {
    await warmUpForked(spec, server.connect(), share, rootfs, signal);
    await idle(server.pid, signal);
  }
  await server.removeShare(signal);
  await idle(server.pid, signal);
  await server.serve(template.folder, signal);
}
