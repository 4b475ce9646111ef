import type { Device, Spec } from "../../protocol/oci.ts";
import type { Step } from "../container-init/steps.ts";
import { containerPath } from "./paths.ts";
import { invalid } from "./unsupported.ts";
import { guestId } from "./user.ts";

/** config-linux.md, "Default Devices"; mem(4), null(4), random(4), tty(4). */
const DEFAULT_DEVICES: readonly Device[] = [
  { path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 0o666 },
  { path: "/dev/zero", type: "c", major: 1, minor: 5, fileMode: 0o666 },
  { path: "/dev/full", type: "c", major: 1, minor: 7, fileMode: 0o666 },
  { path: "/dev/random", type: "c", major: 1, minor: 8, fileMode: 0o666 },
  { path: "/dev/urandom", type: "c", major: 1, minor: 9, fileMode: 0o666 },
  { path: "/dev/tty", type: "c", major: 5, minor: 0, fileMode: 0o666 },
];

/** runtime-linux.md, "Dev symbolic links", and the pty multiplexer of the container's own devpts. */
const LINKS = [
  ["/proc/self/fd", "/dev/fd"],
  ["/proc/self/fd/0", "/dev/stdin"],
  ["/proc/self/fd/1", "/dev/stdout"],
  ["/proc/self/fd/2", "/dev/stderr"],
] as const;

/** inode(7): the file type's bits of a mode. */
const FILE_TYPES: Readonly<Record<string, number>> = { c: 0o020000, u: 0o020000, b: 0o060000, p: 0o010000 };

/** Where the guest makes the nodes that it binds into containers: its devtmpfs, as a device on a nodev mount is dead. */
const NODES = "/dev/caisson";

/**
 * The default devices, those of `linux.devices` (which win), and the links. A container whose /dev is a bind mount has
 * someone else's devices, and keeps them as they are.
 */
export function deviceSteps(config: Spec, userNamespace: boolean): Step[] {
  const isBind = (options: string[] = []) => options.includes("bind") || options.includes("rbind");
  const isDev = (path: string) => containerPath(path) === "/dev";
  if (config.mounts?.some((mount) => isDev(mount.destination) && (mount.type === "bind" || isBind(mount.options))))
    return [];
  const steps: Step[] = [];
  const configured = config.linux?.devices ?? [];
  const paths = new Set(configured.map((device) => containerPath(device.path)));
  for (const device of DEFAULT_DEVICES) {
    if (paths.has(device.path)) continue;
    const bound = userNamespace || !isMadeInGuest(device.path, config);
    steps.push(...(bound ? boundDevice(device.path, device, "linux.devices") : [madeDevice(device, "linux.devices")]));
  }
  configured.forEach((device, index) => {
    const field = `linux.devices[${index}]`;
    if (!userNamespace && isMadeInGuest(containerPath(device.path), config)) steps.push(madeDevice(device, field));
    else steps.push(...ownNode(device, config, field));
  });
  const about = { field: "linux.devices", task: "linking" };
  for (const [target, path] of LINKS) steps.push({ op: "symlink", target, path, replace: 0, ...about, subject: path });
  steps.push({ op: "symlink", target: "pts/ptmx", path: "/dev/ptmx", replace: 1, ...about, subject: "/dev/ptmx" });
  return steps;
}

/** Whether the path lies on a file system that the guest makes; the rest is the host's, which keeps no devices for us. */
function isMadeInGuest(path: string, config: Spec): boolean {
  let longest = "";
  let made = false;
  for (const { destination, type, options = [] } of config.mounts ?? []) {
    const target = containerPath(destination);
    if (!path.startsWith(`${target}/`) || target.length < longest.length) continue;
    longest = target;
    made = type !== "bind" && !options.includes("bind") && !options.includes("rbind");
  }
  return made;
}

/** A user namespace may not make devices (user_namespaces(7)), nor may the share hold them: the guest's is bound. */
function boundDevice(source: string, device: Device, field: string): Step[] {
  const about = { field, subject: device.path };
  return [
    { op: "openTree", source, recursive: 0, supervised: true, ...about, task: "opening the guest's device" },
    { op: "attachTree", target: containerPath(device.path), ...about, task: "binding the guest's device" },
  ];
}

/** A node with the device's own mode and owner, made by the guest's root and then bound. */
function ownNode(device: Device, config: Spec, field: string): Step[] {
  const made = madeDevice(device, field);
  const { mode, major, minor } = made;
  const uid = guestId(config.linux?.uidMappings ?? [], made.uid, `${field}.uid`);
  const gid = guestId(config.linux?.gidMappings ?? [], made.gid, `${field}.gid`);
  const path = `${NODES}/${mode.toString(8)}-${major}-${minor}-${uid}-${gid}`;
  return [{ ...made, path, uid, gid, supervised: true }, ...boundDevice(path, device, field)];
}

function madeDevice(device: Device, field: string): Extract<Step, { op: "makeDevice" }> {
  const fileType = FILE_TYPES[device.type];
  if (fileType === undefined)
    throw invalid(`${field}.type`, `must be one of "c", "u", "b", "p", not "${device.type}".`);
  if (device.type !== "p" && (device.major === undefined || device.minor === undefined)) {
    throw invalid(field, "a device needs its major and minor number");
  }
  return {
    op: "makeDevice",
    path: containerPath(device.path),
    mode: fileType | ((device.fileMode ?? 0o666) & 0o7777),
    major: device.major ?? 0,
    minor: device.minor ?? 0,
    uid: device.uid ?? 0,
    gid: device.gid ?? 0,
    field,
    subject: device.path,
    task: "making the device",
  };
}
