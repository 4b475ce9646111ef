/** What the host and the guest must agree on beside the messages of agent.proto: addresses, limits and paths in the guest. */
import type { NamespaceType } from "./oci.ts";

/** The version of agent.proto that both sides speak (CheckResponse); another major version is not understood. */
export const PROTOCOL = { major: 2, minor: 0 } as const;

/** AF_VSOCK port of the agent. */
export const AGENT_VSOCK_PORT = 1024;
/** The name of the agent's serial port in the guest (/sys/class/virtio-ports/<port>/name). */
export const AGENT_PORT_NAME = "org.caisson.agent.0";
/** AF_VSOCK port at which the agent takes connections for standard streams. */
export const AGENT_STREAM_VSOCK_PORT = 1025;
/** How many of those, or of serial ports beside its own, a guest has. */
export const STREAM_PORTS = 2;

/** The name of such a serial port, by its number from 1. */
export function streamPortName(number: number): string {
  return `org.caisson.stream.${number}`;
}

/** The longest message that either side takes, bytes; a longer one ends the call. */
export const LONGEST_MESSAGE = 4 * 1024 * 1024;

/** The agent's folder in the guest, and the names of those in it. */
export const GUEST_RUN = "/run/caisson";
export const RUN_FOLDERS = { share: "share", sharedMemory: "shm", sockets: "sockets", volumes: "volumes" } as const;
/** Where the guest has the shared directory mounted. */
export const GUEST_SHARE = `${GUEST_RUN}/${RUN_FOLDERS.share}`;
/** Where the guest has the memories that its containers share. */
export const GUEST_SHARED_MEMORY = `${GUEST_RUN}/${RUN_FOLDERS.sharedMemory}`;
/** Where the guest has the sockets that stand for those of the host, by numbers. */
export const GUEST_SOCKETS = `${GUEST_RUN}/${RUN_FOLDERS.sockets}`;
/** Where the guest has its copies of small volumes, by numbers. */
export const GUEST_VOLUMES = `${GUEST_RUN}/${RUN_FOLDERS.volumes}`;
/** Where the guest mounts the file systems of volumes that are disks. */
export const GUEST_DISKS = `${GUEST_RUN}/disks`;
/** The type of a mount that is no mount in the guest, but one of `linux.devices`: of a block device's node on the host. */
export const DISK_MOUNT_TYPE = "caisson-disk";
/** How a configuration names what the sandbox's other containers have; there is no such folder. */
const GUEST_CONTAINERS = `${GUEST_RUN}/containers`;

/** The path by which a configuration names a namespace of another container of the sandbox. */
export function guestNamespacePath(container: string, type: NamespaceType): string {
  return `${GUEST_CONTAINERS}/${container}/ns/${type}`;
}

/** Whether the path is below what guestNamespacePath() gives. */
export function isInGuest(path: string): boolean {
  return path.startsWith(`${GUEST_CONTAINERS}/`);
}

/** @returns the container and the last part of a path that guestNamespacePath() may have given; undefined for others. */
export function parseGuestNamespacePath(path: string): { container: string; file: string } | undefined {
  if (!isInGuest(path)) return undefined;
  const [, container, file] = /^([^/]+)\/ns\/([a-z]+)$/.exec(path.slice(GUEST_CONTAINERS.length + 1)) ?? [];
  return container === undefined || file === undefined ? undefined : { container, file };
}
