/** config.md: the whole of config.json. */
import type * as Oci from "../../../protocol/oci.ts";
import { devices, idMappings, linux, namespaces } from "./linux.ts";
import { array, boolean, integer, object, type Schema, section, string, stringMap, strings } from "./parts.ts";
import { process } from "./process.ts";
import { blockIO, cpu, memory, resources, throttles } from "./resources.ts";
import { seccomp } from "./seccomp.ts";

const mounts = array(
  object<Oci.Mount>(
    {
      destination: string,
      type: string,
      source: string,
      options: strings,
      uidMappings: section("idMappings"),
      gidMappings: section("idMappings"),
    },
    "destination",
  ),
);

const hookList = array(
  object<Oci.Hook>({ path: string, args: strings, env: strings, timeout: integer("int64") }, "path"),
);

const hooks = object<Oci.Hooks>({
  prestart: section("hookList"),
  createRuntime: section("hookList"),
  createContainer: section("hookList"),
  startContainer: section("hookList"),
  poststart: section("hookList"),
  poststop: section("hookList"),
});

const config: Schema = object<Oci.Spec>(
  {
    ociVersion: string,
    process: section("process"),
    root: object<Oci.Root>({ path: string, readonly: boolean }, "path"),
    hostname: string,
    domainname: string,
    mounts: section("mounts"),
    hooks: section("hooks"),
    annotations: stringMap,
    linux: section("linux"),
    // Sections of other platforms: only their presence matters (unsupported.ts).
    solaris: {},
    windows: {},
    vm: {},
    zos: {},
    freebsd: {},
  },
  "ociVersion",
);

/** Every section by its name; `config`, `process` and `resources` are also validated alone. */
export const sections: Record<string, Schema> = {
  config,
  process,
  mounts,
  hooks,
  hookList,
  linux,
  namespaces,
  idMappings,
  devices,
  resources,
  memory,
  cpu,
  blockIO,
  throttles,
  seccomp,
};
