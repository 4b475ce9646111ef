/** Where a standard stream goes, as containerd names it (containerd, runtime/v2/README.md, "IO"). */
import { CaissonError } from "../../protocol/errors.ts";

export type StdioTarget =
  | { kind: "none" }
  | { kind: "fifo"; path: string }
  | { kind: "file"; path: string }
  /** A logger: a program that is given both output streams; `args` are the URI's query. */
  | { kind: "binary"; path: string; args: string[] };

/** Throws CAISSON_E_USAGE for what is none of these. */
export function parseStdio(uri: string): StdioTarget {
  if (uri === "") return { kind: "none" };
  if (uri.startsWith("/")) return { kind: "fifo", path: uri };
  const [, scheme = "", rest = ""] = /^([a-z]+):\/\/(.*)$/s.exec(uri) ?? [];
  const [encoded = "", query = ""] = split(rest);
  const path = scheme === "" ? "" : decode(encoded, uri);
  if (!path.startsWith("/")) throw wrong(uri, "it is no absolute path");
  if (scheme === "fifo" || scheme === "file") return { kind: scheme, path };
  if (scheme === "binary")
    return { kind: "binary", path, args: [...new URLSearchParams(query)].flat().filter(Boolean) };
  throw wrong(uri, `there is no "${scheme}"`);
}

function split(rest: string): [string, string] {
  const at = rest.indexOf("?");
  return at < 0 ? [rest, ""] : [rest.slice(0, at), rest.slice(at + 1)];
}

function decode(path: string, uri: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw wrong(uri, "its escapes are damaged");
  }
}

function wrong(uri: string, why: string): CaissonError {
  return new CaissonError("CAISSON_E_USAGE", `the standard stream ${JSON.stringify(uri)} cannot be used: ${why}`, {
    remedy: "Name a FIFO, or a fifo://, file:// or binary:// URI with an absolute path.",
  });
}
