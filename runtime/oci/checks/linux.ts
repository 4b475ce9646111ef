/** config-linux.md: Masked Paths, Readonly Paths, Personality. */
import { absolutePath, type Check } from "./check.ts";
import { hasNamespace } from "./namespaces.ts";

export const coveredPaths: Check = function* (config) {
  for (const name of ["maskedPaths", "readonlyPaths"] as const) {
    const field = `linux.${name}`;
    const paths = config.linux?.[name] ?? [];
    for (const [index, path] of paths.entries()) yield* absolutePath(`${field}[${index}]`, path);
    if (paths.length > 0 && !hasNamespace(config, "mount")) {
      yield { field, message: "needs a mount namespace in linux.namespaces" };
    }
  }
};

export const personality: Check = function* ({ linux }) {
  if ((linux?.personality?.flags ?? []).length > 0) {
    yield { field: "linux.personality.flags", message: "must be empty: the specification defines no flags yet" };
  }
};
