/** Where the VMs that stand by are found: a folder for each template, a socket in it for each VM. */
import { closeSync, mkdirSync, openSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { constants, flock } from "../../../native/posix/index.ts";
import type { Settings } from "../../config.ts";
import { makePrivateFolder } from "../../vm/template/space.ts";
import { templateDirectory } from "../vm-choice.ts";

const SOCKET = /^\d+\.sock$/;

/** The VMs that stand by as clones of one template. */
export class StandbyPlaces {
  readonly directory: string;

  /** @param key the template's. */
  constructor(settings: Pick<Settings, "templateDir">, key: string) {
    this.directory = join(standbyDirectory(settings), key);
  }

  /** Makes the folder. Throws as makePrivateFolder. */
  make(): void {
    makePrivateFolder(dirname(this.directory));
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
  }

  /** The sockets at which VMs can be had, or could: their processes may have been killed. */
  sockets(): string[] {
    try {
      const names = readdirSync(this.directory).filter((name) => SOCKET.test(name));
      return names.map((name) => join(this.directory, name));
    } catch {
      return [];
    }
  }

  /** Files of the process that holds a VM: where it offers it, the agent's socket, the console's log. */
  ownFiles(pid: number): { socket: string; agent: string; console: string } {
    const own = join(this.directory, String(pid));
    return { socket: `${own}.sock`, agent: `${own}.agent`, console: `${own}.console` };
  }

  /**
   * Takes one of so many slots, for as long as the descriptor is open.
   * @returns undefined when all are taken.
   */
  takeSlot(count: number): number | undefined {
    for (let slot = 0; slot < count; slot++) {
      const fd = openSync(join(this.directory, `slot-${slot}`), "a", 0o600);
      if (flock(fd, constants.LOCK_EX | constants.LOCK_NB)) return fd;
      closeSync(fd);
    }
    return undefined;
  }

  /** Whether one of so many slots is free, or there is no folder yet. */
  hasFreeSlot(count: number): boolean {
    try {
      const fd = this.takeSlot(count);
      if (fd !== undefined) closeSync(fd);
      return fd !== undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return true;
      throw error;
    }
  }
}

/** A mount point for the share of each process that holds a VM: each has a mount namespace of its own. */
export function sharePlace(settings: Pick<Settings, "templateDir">): string {
  return join(standbyDirectory(settings), "share");
}

/** The root file system of the container that each of them runs first. */
export function rehearsalPlace(settings: Pick<Settings, "templateDir">): string {
  return join(standbyDirectory(settings), "rehearsal");
}

/** Removes what a process that was killed has left. */
export function removeSocket(socket: string): void {
  for (const suffix of ["sock", "agent", "console"]) rmSync(socket.replace(/sock$/, suffix), { force: true });
}

/** The folder of them all; made for the first. */
export function standbyDirectory(settings: Pick<Settings, "templateDir">): string {
  return join(dirname(templateDirectory(settings)), "standby");
}
