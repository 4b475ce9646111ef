/** Reads one setting's value, and says what is wrong with it and what would be right. */
import { closest } from "../text/closest.ts";
import { KEYS, type Key } from "./settings.ts";

/** Follows the key's name in a message: `must be "on" or "off", not true`. */
export class WrongValue extends Error {}

/** The setting that a TOML value gives. Throws WrongValue. */
export function readValue(key: Key, value: unknown): unknown {
  switch (key.kind) {
    case "choice":
      if (typeof value === "string" && key.values.includes(value)) return value;
      throw new WrongValue(`must be ${either(key.values)}, not ${shown(value)}`);
    case "integer":
      return readInteger(key, value);
    case "path":
      if (typeof value !== "string" || !value.startsWith("/")) {
        throw new WrongValue(`must be an absolute path, not ${shown(value)}`);
      }
      return fileName(value);
    case "name":
      if (typeof value !== "string" || value === "" || (value.includes("/") && !value.startsWith("/"))) {
        throw new WrongValue(`must be a command's name or its absolute path, not ${shown(value)}`);
      }
      return fileName(value);
    case "words":
      if (typeof value !== "string")
        throw new WrongValue(`must be a text like "quiet loglevel=3", not ${shown(value)}`);
      // QEMU passes the command line on as it is; the kernel reads printable ASCII.
      if (!/^[\x20-\x7e\t]*$/.test(value)) throw new WrongValue("must be printable ASCII text");
      return value.split(/[ \t]+/).filter((word) => word !== "");
    case "text":
      if (typeof value === "string" && value !== "" && /^[\x20-\x7e]*$/.test(value)) return value;
      throw new WrongValue(`must be printable ASCII text, not ${shown(value)}`);
    case "keys":
      return readKeys(value);
  }
}

/** The setting that an annotation's text gives: a number is written in decimal digits. Throws WrongValue. */
export function readText(key: Key, text: string): unknown {
  if (key.kind !== "integer") return readValue(key, text);
  return readValue(key, /^\d{1,15}$/.test(text) ? Number(text) : text);
}

function readInteger(key: Key & { kind: "integer" }, value: unknown): number {
  const { minimum, maximum, unit } = key;
  const number = typeof value === "bigint" ? Number(value) : value;
  if (typeof number === "number" && Number.isInteger(number) && number >= minimum && number <= maximum) return number;
  throw new WrongValue(`must be a number of ${unit} from ${minimum} to ${maximum}, not ${shown(value)}`);
}

function readKeys(value: unknown): string[] {
  if (!Array.isArray(value)) throw new WrongValue(`must be a list of keys, not ${shown(value)}`);
  return value.map((item: unknown) => {
    if (item === "enabled_annotations")
      throw new WrongValue("must not have itself: containers would enable what they want");
    if (typeof item === "string" && KEYS.has(item)) return item;
    throw new WrongValue(`must be a list of keys, and ${shown(item)} is none${perhaps(String(item))}`);
  });
}

/** `; perhaps "vcpus" is meant`, or nothing when no known key is near. */
export function perhaps(unknown: string): string {
  const near = closest(unknown, KEYS.keys());
  return near === undefined ? "" : `; perhaps "${near}" is meant`;
}

function fileName(path: string): string {
  if (path.includes("\0")) throw new WrongValue("must not contain a NUL byte");
  // In QEMU's command line a comma ends a file name (and ",," is not understood everywhere).
  if (path.includes(",")) throw new WrongValue("must not contain a comma: QEMU's command line cannot hold it");
  return path;
}

function either(values: readonly string[]): string {
  const quoted = values.map((value) => `"${value}"`);
  if (quoted.length === 1) return quoted[0] ?? "";
  return `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
}

function shown(value: unknown): string {
  if (typeof value === "object") return Array.isArray(value) ? "a list" : "a table";
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
