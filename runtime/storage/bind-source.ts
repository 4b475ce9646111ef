import { realpathSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { CaissonError, type ErrorCode } from "../../protocol/errors.ts";
import type { Mount, Spec } from "../../protocol/oci.ts";
import type { BindOptions } from "./bind.ts";
import { idMapOf } from "./id-map.ts";
import { outsideTree } from "./mount-tree.ts";

/** What a bind mount shows. */
export class BindSource {
  readonly index: number;
  /** Absolute, without symbolic links. */
  readonly path: string;
  /** The path as whoever has written the configuration knows it. */
  readonly name: string;
  readonly isDirectory: boolean;
  readonly isSocket: boolean;
  readonly options: BindOptions;

  /** @throws CaissonError when it is not there, or cannot be shared. */
  constructor(entry: Mount, index: number, bundle: string, linux: Spec["linux"]) {
    const field = fieldOf(index);
    const source = resolve(bundle, entry.source ?? "");
    const name = outsideTree(source);
    this.name = name;
    const cannot = (code: ErrorCode, message: string, more: object) =>
      new CaissonError(code, message, { ...more, field });
    try {
      this.path = realpathSync(source);
    } catch (cause) {
      throw cannot("CAISSON_E_STORAGE", `${field}: ${name} cannot be bound to ${entry.destination}`, { cause });
    }
    const kind = statSync(this.path);
    if (kind.isBlockDevice() || kind.isCharacterDevice()) {
      const remedy = "name devices in linux.devices; the guest has its own";
      throw cannot("CAISSON_E_CONFIG_UNSUPPORTED", `${field}: ${name} is a device of the host`, { remedy });
    }
    this.index = index;
    this.isDirectory = kind.isDirectory();
    this.isSocket = kind.isSocket();
    const options = new Set(entry.options);
    this.options = {
      recursive: options.has("rbind"),
      readOnly: options.has("ro") || options.has("rro"),
      idMap: idMapOf(entry, linux),
      field,
    };
  }
}

/** What errors about a bind mount's source name. */
export function fieldOf(index: number): string {
  return `mounts[${index}].source`;
}
