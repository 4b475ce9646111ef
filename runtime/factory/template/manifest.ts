import { type BigIntStats, fstatSync } from "node:fs";
import { readBounded, SMALL_FILE } from "../../text/bounded-read.ts";
import { digest } from "./digest.ts";
import type { TemplateInputs } from "./key.ts";

/** What a file of a template was when it was finished: its size, and its identity since it was finished. A mapping changes neither, all else does. */
export interface FileSeal {
  size: number;
  inode: string;
  /** The last change of content or attributes, ns since the epoch (inode(7)); nobody can set it back. */
  changed: string;
  sha256: string;
}

/** `template.json`: written last, so that a template that has one is whole. */
export interface Manifest {
  key: string;
  inputs: TemplateInputs;
  machine: string;
  accelerator: string;
  transport: string;
  memoryMib: number;
  vcpus: number;
  /** How many network devices it has. */
  networks: number;
  memory: FileSeal;
  state: FileSeal;
}

/** Seals an open file: reads all of it. */
export async function seal(fd: number): Promise<FileSeal> {
  const stats = fstatSync(fd, { bigint: true });
  const sha256 = await digest(fd);
  return { ...identity(stats), sha256 };
}

/** Whether an open file is the sealed one, untouched; does not read it. */
export function sealHolds(fd: number, kept: FileSeal): boolean {
  const now = identity(fstatSync(fd, { bigint: true }));
  return now.size === kept.size && now.inode === kept.inode && now.changed === kept.changed;
}

/** The same, by content too. */
export async function contentHolds(fd: number, kept: FileSeal): Promise<boolean> {
  return sealHolds(fd, kept) && (await digest(fd)) === kept.sha256;
}

/** @throws an Error when the file cannot be read or is no manifest. */
export function readManifest(path: string): Manifest {
  const value: unknown = JSON.parse(readBounded(path, SMALL_FILE).toString());
  if (!isManifest(value)) throw new Error(`${path} is no template manifest`);
  return value;
}

function identity({ size, ino, ctimeNs }: BigIntStats): Omit<FileSeal, "sha256"> {
  return { size: Number(size), inode: String(ino), changed: String(ctimeNs) };
}

function isManifest(value: unknown): value is Manifest {
  const manifest = value as Partial<Record<keyof Manifest, unknown>> | null;
  if (typeof manifest !== "object" || manifest === null) return false;
  const { inputs, memory, state } = manifest;
  return (
    hasTypes(manifest, { key: "", machine: "", accelerator: "", transport: "", memoryMib: 0, vcpus: 0, networks: 0 }) &&
    hasTypes(inputs, { qemu: "", kernel: "", initrd: "", image: "" }) &&
    [memory, state].every((file) => hasTypes(file, { size: 0, inode: "", changed: "", sha256: "" }))
  );
}

function hasTypes(value: unknown, example: Record<string, unknown>): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(example).every(([key, like]) => typeof (value as Record<string, unknown>)[key] === typeof like);
}
