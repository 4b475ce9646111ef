/** A bundle for each subject, which says the same as under runc. */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Mount } from "../../protocol/oci.ts";
import { Bundle } from "../harness/bundle.ts";
import { sameAnswer } from "./compare.ts";
import { Pair, runcMissing } from "./pair.ts";

interface Subject {
  /** What the container's shell does. */
  script: string;
  change?: (bundle: Bundle) => void;
}

/** Registers a test for each. */
export function sameForEach(subjects: Readonly<Record<string, Subject>>): void {
  const options = { skip: runcMissing() ?? false };
  const pair = new Pair();
  after(() => pair[Symbol.asyncDispose]());

  for (const [name, { script, change }] of Object.entries(subjects)) {
    test(`run: ${name}`, options, async () => {
      using ours = bundleOf(script, change);
      using theirs = bundleOf(script, change);
      const id = pair.id();
      const [caisson, runc] = await Promise.all([
        pair.host.run(["run", "--bundle", ours.directory, id]),
        pair.runc(["run", "--bundle", theirs.directory, id]),
      ]);
      sameAnswer(`run: ${name}`, { caisson, runc });
    });
  }
}

/** Each runtime gets a bundle of its own, since containers write into their root. */
function bundleOf(script: string, change: Subject["change"]): Bundle {
  const bundle = new Bundle(["sh", "-c", `(${script || ":"}); exit $?`]);
  for (const applet of ["chmod", "cut", "mkfifo", "mknod", "readlink", "rm", "sort"])
    symlinkSync("busybox", join(bundle.rootfs, "bin", applet));
  change?.(bundle);
  return bundle.write();
}

export function add(bundle: Bundle, ...mounts: Mount[]): void {
  bundle.spec.mounts?.push(...mounts);
}

/** A folder beside the root file system with a file "a" in it. */
export function source(bundle: Bundle): string {
  const folder = join(bundle.directory, "src");
  mkdirSync(join(folder, "sub"), { recursive: true });
  writeFileSync(join(folder, "a"), "A\n");
  return folder;
}

export function bind(folder: string, destination: string, ...more: string[]): Mount {
  return { destination, source: folder, options: ["bind", ...more] };
}
