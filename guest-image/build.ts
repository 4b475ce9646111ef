/**
 * Builds the guest image: out/image/{vmlinux,initrd.img,root.erofs,manifest.json}. Run from the top folder; README.md
 * says what goes into it. Does nothing when the image there is made of the same inputs.
 */

import "./failure.ts";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type CpioEntry, packCpio } from "./cpio.ts";
import { findInputs, INIT, type Inputs, NODE, OWN_FILES } from "./inputs.ts";
import { extractKernel } from "./kernel.ts";
import { installModules, type KernelModules, pathInRoot, readKernelModules, selectModules } from "./kernel-modules.ts";
import { imageId, isUpToDate, type Manifest } from "./manifest.ts";
import { MEMORY_TABLE_PATH, memoryTable } from "./memory-table.ts";
import { type LoadRule, loadOrder, parseLoadRules, renderLoadList } from "./modules.ts";
import { download, sha256Of, unpack } from "./packages.ts";
import { run } from "./run.ts";
import { SLOT_TABLE_PATH, slotTable } from "./slot-table.ts";
import { makeTools, PACKAGES_ROOT } from "./tools.ts";
import { install, installLibraries, makeSkeleton, packErofs, strip } from "./tree.ts";

const IMAGE = "out/image";
const MANIFEST = join(IMAGE, "manifest.json");
const OUTPUTS = ["vmlinux", "initrd.img", "root.erofs"];

const WARM_ROOTFS = "usr/lib/caisson/warm";
/**
 * What the kernel does not load when it is asked for, and programs expect: iptables-legacy finds no table otherwise, since a
 * container has no modules to load. PID 1 loads them from the root image.
 */
const LOADED_FROM_ROOT = ["ip_tables", "ip6_tables"];
/**
 * Programs of the root are read as they run: by the 128 KiB that Linux takes at a time a boot would wait for 770 reads, 0.2 s. The same file of the
 * queue's would have the kernel stop the queue, for a grace period of 8 ms.
 */
const READ_AHEAD = "/sys/block/vda/bdi/read_ahead_kb=512";
/** kmod does what the name it is called by says. */
const KMOD_LINKS = ["depmod", "insmod", "lsmod", "modinfo", "modprobe", "rmmod"];

// Modes of the root's folders are the image's own, whoever builds it.
process.umask(0o022);
const inputs = findInputs();
const id = imageId(inputs.list);
if (isUpToDate(IMAGE, id)) {
  // Newer than all that make compares it with, so that make, too, sees that nothing is to be done.
  utimesSync(MANIFEST, new Date(), new Date());
  console.log(`The guest image is up to date (${id.slice(0, 12)}).`);
} else {
  build(inputs, id);
}

function build(inputs: Inputs, id: string): void {
  makeTools();
  mkdirSync(IMAGE, { recursive: true });
  const work = mkdtempSync(join("out", "image-build-"));
  try {
    const kernelFolder = join(work, "kernel");
    unpack(download([inputs.kernelPackage]), kernelFolder);
    const kernel = readKernelModules(kernelFolder);
    const rules = parseLoadRules(readFileSync("guest-image/load.txt", "utf8"));
    const root = join(work, "root");
    const absentModules = makeRoot(root, kernel, rules);

    const made = join(work, "image");
    mkdirSync(made);
    writeFileSync(
      join(made, "vmlinux"),
      extractKernel(readFileSync(join(kernelFolder, `boot/vmlinuz-${kernel.release}`))),
    );
    writeFileSync(join(made, "initrd.img"), makeInitramfs(root, kernel, rules));
    packErofs(root, join(made, "root.erofs"));

    const outputs = OUTPUTS.map((file) => {
      const path = join(made, file);
      return { file, bytes: statSync(path).size, sha256: sha256Of(path) };
    });
    const manifest: Manifest = {
      format: 1,
      id,
      kernelRelease: kernel.release,
      inputs: inputs.list,
      outputs,
      absentModules,
    };
    writeFileSync(join(made, "manifest.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
    replaceImage(made);
    const sizes = outputs.map(({ file, bytes }) => `${file} ${(bytes / 1e6).toFixed(1)} MB`);
    console.log(`Built the guest image ${id.slice(0, 12)}: ${sizes.join(", ")}; Linux ${kernel.release}.`);
  } finally {
    rmSync(work, { recursive: true });
  }
}

function makeRoot(root: string, kernel: KernelModules, initramfsRules: LoadRule[]): string[] {
  makeSkeleton(root);
  install(programOf("kmod"), root, "usr/bin/kmod", { executable: true });
  // For whoever looks into a guest (caisson shell).
  install(programOf("strace"), root, "usr/bin/strace", { executable: true });
  for (const name of KMOD_LINKS) symlinkSync("../bin/kmod", join(root, "usr/sbin", name));
  makeWarmRootfs(root);
  install(NODE, root, "usr/bin/node", { executable: true });
  strip(join(root, "usr/bin/node"));
  for (const { source, path, executable } of OWN_FILES) install(source, root, path, { executable });
  const programs = OWN_FILES.map(({ path }) => path).filter((path) => !path.includes(".cjs"));
  linkApplets(root);
  installLibraries(root, ["usr/bin/kmod", "usr/bin/strace", "usr/bin/node", ...programs], PACKAGES_ROOT);

  const { selected, absent } = selectModules(kernel.index, readFileSync("guest-image/modules.txt", "utf8"));
  const loaded = loadOrder(
    kernel.index,
    initramfsRules.flatMap((rule) => rule.modules),
  );
  installModules(kernel, [...new Set([...selected, ...loaded])], root);
  const rules: LoadRule[] = [
    { condition: "always", modules: [], setting: READ_AHEAD },
    { condition: "always", modules: LOADED_FROM_ROOT.filter((name) => selected.includes(name)) },
  ];
  const list = renderLoadList(rules, kernel.index, (name) => pathInRoot(kernel, name));
  writeFileSync(join(root, "usr/lib/caisson/modules"), list);
  return absent;
}

function programOf(name: string): string {
  return join(PACKAGES_ROOT, "usr/bin", name);
}

/** The root file system of the throw-away containers that a template is warmed with. */
function makeWarmRootfs(root: string): void {
  for (const folder of ["proc", "dev", "sys"]) mkdirSync(join(root, WARM_ROOTFS, folder), { recursive: true });
  install(programOf("busybox"), root, `${WARM_ROOTFS}/bin/busybox`, { executable: true });
}

/** Scripts among createContainer hooks run in the guest's own root, and look for the programs that any system has. */
function linkApplets(root: string): void {
  const busybox = `${WARM_ROOTFS}/bin/busybox`;
  const names = run(join(root, busybox), ["--list"], { encoding: "utf8" }).trim().split("\n");
  const programs = ["usr/bin", "usr/sbin"].flatMap((folder) => readdirSync(join(root, folder)));
  for (const name of names) {
    if (!programs.includes(name)) symlinkSync(`/${busybox}`, join(root, "usr/bin", name));
  }
}

/** An ACPI table for the kernel, which looks for it at the start; PID 1, the modules that it loads, and a console for what it has to say. */
function makeInitramfs(root: string, kernel: KernelModules, rules: LoadRule[]): Buffer {
  const modules = loadOrder(
    kernel.index,
    rules.flatMap((rule) => rule.modules),
  );
  const list = renderLoadList(rules, kernel.index, (name) => `/${name}.ko`);
  const entries: CpioEntry[] = [
    ...["kernel", "kernel/firmware", "kernel/firmware/acpi"].map((path) => ({ type: "folder" as const, path })),
    { type: "file", path: SLOT_TABLE_PATH, data: slotTable(), executable: false },
    { type: "file", path: MEMORY_TABLE_PATH, data: memoryTable(), executable: false },
    ...["dev", "sys", "root"].map((path) => ({ type: "folder" as const, path })),
    { type: "character-device", path: "dev/console", major: 5, minor: 1 },
    { type: "file", path: "init", data: readFileSync(INIT), executable: true },
    { type: "file", path: "modules", data: Buffer.from(list), executable: false },
    ...modules.map((name) => {
      const data = readFileSync(join(root, pathInRoot(kernel, name)));
      return { type: "file" as const, path: `${name}.ko`, data, executable: false };
    }),
  ];
  return packCpio(entries);
}

/**
 * Puts the new files in place of the old, the manifest last: until then the old one is gone, so an image that is half
 * replaced counts as none. A running VM keeps the files that it has open.
 */
function replaceImage(made: string): void {
  rmSync(MANIFEST, { force: true });
  for (const name of readdirSync(IMAGE)) if (!OUTPUTS.includes(name)) rmSync(join(IMAGE, name), { recursive: true });
  for (const file of [...OUTPUTS, "manifest.json"]) renameSync(join(made, file), join(IMAGE, file));
}
