/** The command line that containerd calls a shim with; its flags are Go's, `-name value` or `-name=value`. */
import { CaissonError } from "../../protocol/errors.ts";

export interface ShimFlags {
  namespace: string;
  id: string;
  /** containerd's own sockets and program. */
  address: string;
  publishBinary: string;
  /** The bundle's directory; only `delete` is told. */
  bundle: string;
  debug: boolean;
  /** Print the version, or what the runtime is, and end. */
  version: boolean;
  info: boolean;
  action: string;
}

const TEXTS: Readonly<Record<string, "namespace" | "id" | "address" | "publishBinary" | "bundle" | undefined>> = {
  namespace: "namespace",
  id: "id",
  address: "address",
  "publish-binary": "publishBinary",
  bundle: "bundle",
};
const SWITCHES: Readonly<Record<string, "debug" | "version" | "info" | undefined>> = {
  debug: "debug",
  v: "version",
  version: "version",
  info: "info",
};

/** Throws CAISSON_E_USAGE for a flag that no containerd has. */
export function parseFlags(args: readonly string[]): ShimFlags {
  const flags: ShimFlags = {
    namespace: "",
    id: "",
    address: "",
    publishBinary: "",
    bundle: "",
    debug: false,
    version: false,
    info: false,
    action: "",
  };
  const rest = [...args];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const [, name = "", value] = /^--?([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    const text = Object.hasOwn(TEXTS, name) ? TEXTS[name] : undefined;
    const toggle = Object.hasOwn(SWITCHES, name) ? SWITCHES[name] : undefined;
    if (text !== undefined) flags[text] = value ?? rest.shift() ?? missing(name);
    else if (toggle !== undefined) flags[toggle] = value === undefined || value === "true";
    else if (name !== "") throw new CaissonError("CAISSON_E_USAGE", `there is no flag -${name}`);
    else if (flags.action === "") flags.action = word;
  }
  return flags;
}

function missing(name: string): never {
  throw new CaissonError("CAISSON_E_USAGE", `the flag -${name} needs a value`);
}
