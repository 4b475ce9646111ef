import type { Device, Spec } from "../../protocol/oci.ts";
import type { Step } from "../steps.ts";
import { containerPath } from "./paths.ts";
import { invalid } from "./refusal.ts";

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
    if (!paths.has(device.path)) steps.push(...oneDevice(device, userNamespace, "linux.devices"));
  }
  configured.forEach((device, index) => {
    steps.push(...oneDevice(device, userNamespace, `linux.devices[${index}]`));
  });
  const about = { field: "linux.devices", task: "linking" };
  for (const [target, path] of LINKS) steps.push({ op: "symlink", target, path, replace: 0, ...about, subject: path });
  steps.push({ op: "symlink", target: "pts/ptmx", path: "/dev/ptmx", replace: 1, ...about, subject: "/dev/ptmx" });
  return steps;
}

/** A user namespace may not make devices (user_namespaces(7)): there it is the guest's own, bound. */
function oneDevice(device: Device, userNamespace: boolean, field: string): Step[] {
  const path = containerPath(device.path);
  const fileType = FILE_TYPES[device.type];
  if (fileType === undefined)
    throw invalid(`${field}.type`, `must be one of "c", "u", "b", "p", not "${device.type}".`);
  const about = { field, subject: device.path };
  if (userNamespace && device.type !== "p") {
    return [
      { op: "openTree", source: path, recursive: 0, supervised: true, ...about, task: "opening the guest's device" },
      { op: "attachTree", target: path, ...about, task: "binding the guest's device" },
    ];
  }
  if (device.type !== "p" && (device.major === undefined || device.minor === undefined)) {
    throw invalid(field, "a device needs its major and minor number.");
  }
  return [
    {
      op: "makeDevice",
      path,
      mode: fileType | ((device.fileMode ?? 0o666) & 0o7777),
      major: device.major ?? 0,
      minor: device.minor ?? 0,
      uid: device.uid ?? 0,
      gid: device.gid ?? 0,
      ...about,
      task: "making the device",
    },
  ];
}
