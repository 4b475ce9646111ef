import { CaissonError } from "../../protocol/errors.ts";
import { RuncOptions, RuntimeOptions } from "../../protocol/generated/containerd/options.ts";
import type { Any } from "../../protocol/generated/containerd/types.ts";
import { loadSettings, parseSettings, type Settings } from "../config/load.ts";
import { log } from "../text/log.ts";

/**
 * The settings that the runtime's options name (containerd: `[...runtimes.caisson.options] ConfigPath = "..."`), or the
 * default ones.
 * @throws CaissonError CAISSON_E_SETTINGS as loadSettings does; CAISSON_E_CONFIG_UNSUPPORTED for options of another
 *   runtime that ask for what is not carried out.
 */
export function settingsOf(options: Any | undefined): Settings {
  if (options === undefined || options.value.length === 0) return loadSettings();
  const type = options.typeUrl.replace(/^.*\//, "");
  if (type === "runtimeoptions.v1.Options") {
    const { configPath, configBody } = RuntimeOptions.decode(options.value);
    if (configPath !== "") return loadSettings(configPath);
    return configBody.length === 0
      ? loadSettings()
      : parseSettings(configBody.toString("utf8"), "the runtime's options");
  }
  if (type === "containerd.runc.v1.Options") {
    checkRuncOptions(RuncOptions.decode(options.value));
    return loadSettings();
  }
  throw unsupported(`of the type ${JSON.stringify(options.typeUrl)}`);
}

/** Where runc's state and its cgroups are is ours to say; what it does for the host's sake has no meaning for a VM. */
function checkRuncOptions({ noPivotRoot, noNewKeyring, criuPath }: RuncOptions): void {
  if (noPivotRoot) log.warning("the runtime option NoPivotRoot changes nothing: in the VM pivot_root(2) works");
  if (noNewKeyring)
    log.warning("the runtime option NoNewKeyring changes nothing: the VM's kernel has keyrings of its own");
  if (criuPath !== "") throw unsupported("with CriuPath");
}

function unsupported(what: string): CaissonError {
  return new CaissonError("CAISSON_E_CONFIG_UNSUPPORTED", `runtime options ${what} are not carried out`, {
    remedy: "Leave them out of containerd's configuration of this runtime.",
  });
}
