import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Mount } from "../../protocol/oci.ts";
import { fileSystemOptions } from "../oci/checks/mount-options.ts";
import { isBindMount } from "../oci/checks/mounts.ts";
import { mountOne } from "./rootfs-mounts.ts";

/** Whether it is an overlay, whose directories are the host's: the host mounts it, and the guest has what it shows. */
export function isOverlay(mount: Mount): boolean {
  return mount.type === "overlay" && !isBindMount(mount) && !(mount.options ?? []).includes("remount");
}

/**
 * Mounts it below `folder`. Relative directories are taken from the bundle. Only to be used in a private mount namespace.
 * @returns the mount point. @throws CaissonError CAISSON_E_STORAGE that names the mount.
 */
export function mountOverlay(
  { source = "overlay", options = [] }: Mount,
  index: number,
  folder: string,
  bundle: string,
): string {
  const target = join(folder, String(index));
  mkdirSync(target, { recursive: true });
  const data = fileSystemOptions(options).map((option) => changePaths(option, (path) => resolve(bundle, path)));
  const flags = options.includes("ro") ? ["ro"] : [];
  mountOne({ type: "overlay", source, options: [...flags, ...data] }, target, `mounts[${index}]`);
  return target;
}

/** The mount as one of what the host shows at `source`: the guest keeps what is about the mount and not its file system. */
export function overlayAsBind(mount: Mount, source: string): Mount {
  const data = fileSystemOptions(mount.options ?? []);
  const options = (mount.options ?? []).filter((option) => !data.includes(option));
  return { ...mount, type: "bind", source, options: ["bind", ...options] };
}

/** The mount with every directory of the host in its options changed. */
export function withOverlayPaths(mount: Mount, change: (path: string) => string): Mount {
  return { ...mount, options: (mount.options ?? []).map((option) => changePaths(option, change)) };
}

/** Colons, commas and backslashes in paths are quoted by a backslash (overlayfs.rst). */
function changePaths(option: string, change: (path: string) => string): string {
  const [, name, value = ""] = /^(lowerdir|upperdir|workdir)=(.*)$/s.exec(option) ?? [];
  if (name === undefined) return option;
  const paths = name === "lowerdir" ? value.split(/(?<!\\):/) : [value];
  const changed = paths.map((path) =>
    path === "" ? path : change(path.replace(/\\(.)/gs, "$1")).replace(/[\\:,]/g, "\\$&"),
  );
  return `${name}=${changed.join(":")}`;
}
