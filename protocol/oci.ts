/**
 * The OCI runtime specification's config.json and State, version 1.2 (plus what 1.3 added), as TypeScript types.
 * Host and guest both read containers' configurations through them; runtime/oci validates what they claim.
 * https://github.com/opencontainers/runtime-spec: config.md, config-linux.md, runtime.md.
 */

import type { IdMapping, Linux } from "./oci/linux.ts";
import type { Process } from "./oci/process.ts";

export type * from "./oci/integer.ts";
export type * from "./oci/linux.ts";
export * from "./oci/process.ts";
export type * from "./oci/resources.ts";
export type * from "./oci/seccomp.ts";

/** The newest version of the specification that we carry out. */
export const OCI_VERSION = "1.2.0";

/** config.json. */
export interface Spec {
  ociVersion: string;
  process?: Process | undefined;
  root?: Root | undefined;
  hostname?: string | undefined;
  domainname?: string | undefined;
  mounts?: Mount[] | undefined;
  hooks?: Hooks | undefined;
  annotations?: Record<string, string> | undefined;
  linux?: Linux | undefined;
  /** Sections of other platforms; a configuration with one of them is refused. */
  solaris?: unknown;
  windows?: unknown;
  vm?: unknown;
  zos?: unknown;
  freebsd?: unknown;
}

export interface Root {
  /** Absolute, or relative to the bundle. */
  path: string;
  readonly?: boolean | undefined;
}

export interface Mount {
  destination: string;
  type?: string | undefined;
  source?: string | undefined;
  options?: string[] | undefined;
  /** With the options `idmap` or `ridmap`: an id-mapped mount (mount_setattr(2)). */
  uidMappings?: IdMapping[] | undefined;
  gidMappings?: IdMapping[] | undefined;
}

export const HOOK_NAMES = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
] as const;

export type HookName = (typeof HOOK_NAMES)[number];

export type Hooks = { [name in HookName]?: Hook[] | undefined };

export interface Hook {
  path: string;
  args?: string[] | undefined;
  env?: string[] | undefined;
  /** Seconds. */
  timeout?: number | undefined;
}

/** runtime.md, State. */
export type ContainerStatus = "creating" | "created" | "running" | "paused" | "stopped";

/** What `state` prints and hooks read on stdin. */
export interface State {
  ociVersion: string;
  id: string;
  status: ContainerStatus;
  /** In the runtime's pid namespace; 0 or absent when stopped. */
  pid?: number | undefined;
  /** Absolute. */
  bundle: string;
  annotations?: Record<string, string> | undefined;
}
