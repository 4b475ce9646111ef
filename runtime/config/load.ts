/** The settings in force for a sandbox: defaults, then config.toml, then the container's annotations. */
import { parse, TomlError } from "smol-toml";
import { CaissonError } from "../../protocol/errors.ts";
import { DISK_IMAGES } from "../oci/disk-images.ts";
import { readBounded, SMALL_FILE } from "../text/bounded-read.ts";
import { isSystemError, systemErrorSentence } from "../text/errors.ts";
import { DEFAULTS, KEYS, type Key, type Settings } from "./settings.ts";
import { perhaps, readText, readValue, WrongValue } from "./value.ts";

export type { Settings } from "./settings.ts";
export { type SandboxSize, sandboxSize } from "./size.ts";

export const DEFAULT_SETTINGS_FILE = "/etc/caisson/config.toml";
const ANNOTATION_PREFIX = "io.caisson.";

/**
 * The settings of a file: the one given, which must exist, or the default one, which need not. Throws
 * CAISSON_E_SETTINGS with everything that is wrong in it.
 */
export function loadSettings(path?: string): Settings {
  let text: string;
  const file = path ?? DEFAULT_SETTINGS_FILE;
  try {
    text = readBounded(file, SMALL_FILE).toString();
  } catch (cause) {
    if (path === undefined && isSystemError(cause) && cause.code === "ENOENT") return DEFAULTS;
    throw new CaissonError("CAISSON_E_SETTINGS", systemErrorSentence(`read the settings ${file}`, cause), { cause });
  }
  return parseSettings(text, file);
}

/** The settings of a file's text; `file` names it in errors. */
export function parseSettings(text: string, file: string): Settings {
  const table = parseToml(text, file);
  return override(DEFAULTS, Object.entries(table), file, readValue);
}

/**
 * The settings with the container's `io.caisson.*` annotations applied, but for what is no setting. Throws CAISSON_E_SETTINGS for one that is
 * unknown, wrong, or not in enabled_annotations.
 */
export function applyAnnotations(settings: Settings, annotations: Readonly<Record<string, string>> = {}): Settings {
  const ours = Object.entries(annotations).filter(
    ([name]) => name.startsWith(ANNOTATION_PREFIX) && name !== DISK_IMAGES,
  );
  if (ours.length === 0) return settings;
  const entries = ours.map(([name, text]): [string, string] => [name.slice(ANNOTATION_PREFIX.length), text]);
  const read = (key: Key, text: string, name: string) => {
    if (!settings.enabledAnnotations.includes(name)) {
      throw new WrongValue("may not be set by a container; the host's enabled_annotations does not have it");
    }
    return readText(key, text);
  };
  return override(settings, entries, "the annotations", read, ANNOTATION_PREFIX);
}

function override<Value>(
  settings: Settings,
  entries: readonly [string, Value][],
  source: string,
  read: (key: Key, value: Value, name: string) => unknown,
  prefix = "",
): Settings {
  const changes: Partial<Record<keyof Settings, unknown>> = {};
  const problems: { field: string; message: string }[] = [];
  for (const [name, value] of entries) {
    const field = `${prefix}${name}`;
    const key = KEYS.get(name);
    if (key === undefined) {
      problems.push({ field, message: `is no setting${perhaps(name)}` });
      continue;
    }
    try {
      changes[key.name] = read(key, value, name);
    } catch (error) {
      if (!(error instanceof WrongValue)) throw error;
      problems.push({ field, message: error.message });
    }
  }
  const [first] = problems;
  if (first === undefined) return { ...settings, ...(changes as Partial<Settings>) };
  const list = problems.map(({ field, message }) => `${field} ${message}`).join("; ");
  throw new CaissonError("CAISSON_E_SETTINGS", `${source}: ${list}`, {
    field: first.field,
    remedy: `Correct ${source}; docs/configuration.md lists every setting.`,
  });
}

function parseToml(text: string, file: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const reason = cause.message.split("\n")[0]?.replace(/^Invalid TOML document: /, "");
    const where = `${file}, line ${cause.line}, column ${cause.column}`;
    throw new CaissonError("CAISSON_E_SETTINGS", `${where}: not valid TOML: ${reason}`, { cause });
  }
}
