/** The devices that a container sees are those of the kernel that it runs on, which is the guest's. */
import { statSync } from "node:fs";
import { posix } from "node:path";
import type { Device, Mount, Spec } from "../../protocol/oci.ts";
import { isBindMount } from "./checks/mounts.ts";
import { defaultSpec } from "./default-spec.ts";

/** What the guest has besides the default devices, and programs look for in a whole /dev: null(4) and the like are made anyway. */
const MORE: readonly Device[] = [
  { path: "/dev/fuse", type: "c", major: 10, minor: 229 },
  { path: "/dev/net/tun", type: "c", major: 10, minor: 200 },
];

/**
 * `-v /dev:/dev` means the devices of the running kernel: a folder of the guest's takes its place, with those devices that a
 * guest can have (host-devices.ts). The host's nodes could be seen through the share, and not one of them opened.
 * @param modeOf the mode of a device of the host, which the guest's gets; undefined for one that it has not.
 */
export function takeDevices(config: Spec, modeOf = modeOnHost): Spec {
  const { mounts = [], linux } = config;
  const index = mounts.findLastIndex((mount) => isDev(mount.destination));
  const found = mounts[index];
  if (found === undefined || !isBindMount(found) || !isDev(found.source ?? "")) return config;
  const later = mounts.slice(index + 1);
  const below = found.options?.includes("rbind")
    ? belowDev().filter(({ destination }) => !later.some((mount) => posix.normalize(mount.destination) === destination))
    : [];
  const present = linux?.devices ?? [];
  const devices = MORE.flatMap((device) => {
    const fileMode = modeOf(device.path);
    return fileMode === undefined || present.some(({ path }) => path === device.path) ? [] : [{ ...device, fileMode }];
  });
  return {
    ...config,
    mounts: [...mounts.slice(0, index), guestsOwn(found), ...below, ...later],
    linux: { ...linux, devices: [...present, ...devices] },
  };
}

function guestsOwn({ destination, options = [] }: Mount): Mount {
  const kept = options.includes("ro") ? ["ro"] : [];
  const own = ["nosuid", "strictatime", "mode=755", "size=65536k", ...kept];
  return { destination, type: "tmpfs", source: "tmpfs", options: own };
}

function isDev(path: string): boolean {
  return posix.join("/", path, ".") === "/dev";
}

function modeOnHost(path: string): number | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isCharacterDevice() ? found.mode & 0o777 : undefined;
}

/** What is mounted below the host's /dev, and so in the container by rbind: what a container has there by default. */
function belowDev(): Mount[] {
  return (defaultSpec().mounts ?? []).filter(({ destination }) => destination.startsWith("/dev/"));
}
