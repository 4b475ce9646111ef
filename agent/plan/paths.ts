import { posix } from "node:path";

/** A path of the configuration as an absolute one in the container, without "." and "..", and no slash at its end. */
export function containerPath(path: string): string {
  // Nearly all are so already, and posix.join costs more than the rest of what is done with a path.
  if (path.startsWith("/") && !path.includes("//") && !path.includes("/.") && !path.endsWith("/")) return path;
  const joined = posix.join("/", path);
  return joined.length > 1 && joined.endsWith("/") ? joined.slice(0, -1) : joined;
}
