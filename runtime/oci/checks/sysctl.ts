/**
 * Which kernel parameters a container may set: those of a namespace it has to itself, as runc decides
 * (libcontainer/configs/validate). In a VM the others would change the sandbox's kernel under its other containers.
 */
import type { NamespaceType } from "../../../protocol/oci.ts";
import { type Check, noNulByte } from "./check.ts";
import { fieldOf } from "./field.ts";
import { hasNamespace } from "./namespaces.ts";

const IPC_KEYS = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

export const sysctl: Check = function* (config) {
  for (const [key, value] of Object.entries(config.linux?.sysctl ?? {})) {
    const field = fieldOf("linux.sysctl", key);
    const name = dotted(key);
    yield* noNulByte(field, value);
    if (!/^[\w.*/:@-]+$/.test(name) || name.split(/[./]/).includes("")) {
      yield { field, message: "is not the name of a kernel parameter" };
      continue;
    }
    if (name === "kernel.hostname") {
      yield { field, message: 'is set by the field "hostname" of the configuration' };
      continue;
    }
    if (name === "kernel.domainname" && (config.domainname ?? value) !== value) {
      yield { field, message: `is not the field "domainname" of the configuration, which says "${config.domainname}"` };
      continue;
    }
    const namespace = namespaceOf(name);
    if (namespace === undefined) {
      yield { field, message: "belongs to no namespace, so it would change the kernel of the whole sandbox" };
    } else if (!hasNamespace(config, namespace)) {
      yield { field, message: `needs ${namespace === "ipc" ? "an" : "a"} ${namespace} namespace in linux.namespaces` };
    }
  }
};

function namespaceOf(name: string): NamespaceType | undefined {
  if (IPC_KEYS.has(name) || name.startsWith("fs.mqueue.")) return "ipc";
  if (name.startsWith("net.")) return "network";
  if (name === "kernel.domainname") return "uts";
  if (name.startsWith("user.")) return "user";
  return undefined;
}

/** sysctl.d(5): with a slash first, slashes separate and dots belong to names: "net/ipv4/conf/eth0.1/forwarding". */
export function dotted(key: string): string {
  if (/^[^./]*\//.exec(key) === null) return key;
  return key.replace(/[./]/g, (separator) => (separator === "." ? "/" : "."));
}
