/** config.md: Root, Hostname, Domainname, Annotations. bundle.ts looks at the root directory itself. */
import { type Check, noNulByte } from "./check.ts";
import { hasNamespace } from "./namespaces.ts";

export const root: Check = function* ({ root }) {
  if (root === undefined) {
    yield { field: "root", message: "is required: it names the container's root file system" };
    return;
  }
  if (root.path === "") yield { field: "root.path", message: "must not be empty" };
  yield* noNulByte("root.path", root.path);
};

/** sethostname(2) and setdomainname(2) take at most 64 bytes (__NEW_UTS_LEN). */
const LONGEST_NAME = 64;

export const names: Check = function* (config) {
  for (const field of ["hostname", "domainname"] as const) {
    const name = config[field] ?? "";
    if (name === "") continue;
    if (!hasNamespace(config, "uts")) {
      yield { field, message: "needs a uts namespace in linux.namespaces" };
    }
    if (Buffer.byteLength(name) > LONGEST_NAME) {
      yield { field, message: `must be at most ${LONGEST_NAME} bytes long, not ${Buffer.byteLength(name)}` };
    }
    yield* noNulByte(field, name);
  }
};

export const annotations: Check = function* ({ annotations }) {
  if (Object.hasOwn(annotations ?? {}, "")) yield { field: "annotations", message: "must not have an empty key" };
};
