import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { stringifyJson } from "../../protocol/json.ts";
import type { Mount, Process, Spec } from "../../protocol/oci.ts";
import { defaultSpec } from "../../runtime/oci/default-spec.ts";

/** Debian's busybox-static. */
const BUSYBOX = "/bin/busybox";
const APPLETS =
  "cat date dd echo env false free grep head hostname id ip kill ls mkdir mount nc nproc ping ps pwd seq sh sha256sum sleep stat " +
  "stty sync tail test touch tr true tty uname wc yes";

/** A folder with config.json and a root file system of busybox; removed when disposed of. */
export class Bundle implements Disposable {
  readonly directory: string;
  readonly rootfs: string;
  /** What config.json has; `write` after a change. */
  readonly spec: Spec;

  /** @param args the command; without it, a shell that sleeps until a signal ends it. */
  constructor(args: readonly string[] = ["sleep", "1000"]) {
    this.directory = mkdtempSync(join(tmpdir(), "caisson-bundle-"));
    this.rootfs = join(this.directory, "rootfs");
    for (const name of ["bin", "dev", "etc", "proc", "sys", "tmp", "root"]) {
      mkdirSync(join(this.rootfs, name), { recursive: true });
    }
    copyFileSync(BUSYBOX, join(this.rootfs, "bin", "busybox"));
    for (const name of APPLETS.split(" ")) symlinkSync("busybox", join(this.rootfs, "bin", name));
    this.spec = { ...defaultSpec(), root: { path: "rootfs", readonly: false } };
    this.process.terminal = false;
    this.process.args = [...args];
    this.write();
  }

  get process(): Process {
    return this.spec.process as Process;
  }

  /** Writes config.json: the spec, or any text in its place. */
  write(text = stringifyJson(this.spec)): this {
    writeFileSync(join(this.directory, "config.json"), text);
    return this;
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Node in a container of bundleWithNode(). */
export const NODE = "/node/node";

/** A container that sleeps, has the Node that runs the tests, and these mounts. */
export function bundleWithNode(...mounts: readonly Mount[]): Bundle {
  const bundle = new Bundle();
  for (const name of ["lib", "lib64"]) symlinkSync(`usr/${name}`, join(bundle.rootfs, name));
  bundle.spec.mounts?.push(
    { destination: "/usr", source: "/usr", options: ["rbind", "ro"] },
    { destination: dirname(NODE), source: dirname(process.execPath), options: ["bind", "ro"] },
    ...mounts,
  );
  return bundle.write();
}
