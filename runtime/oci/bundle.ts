/** A bundle (bundle.md): a directory with config.json and, at `root.path`, the container's root file system. */
import { realpathSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { CaissonError } from "../../protocol/errors.ts";
import type { Process, Resources, Spec } from "../../protocol/oci.ts";
import { systemErrorSentence } from "../text/errors.ts";
import { readDocument, readStdinDocument } from "./document.ts";
import { normalise } from "./normalise.ts";
import { validateConfig, validateProcess, validateResources } from "./validate.ts";

export interface Bundle {
  /** Valid and normalised: absolute mount destinations and bind sources. `root.path` is as it was written. */
  config: Spec;
  /** Absolute path of the bundle. */
  bundle: string;
  /** Absolute path of the root file system's directory, without symbolic links. */
  rootfs: string;
  /** Sentences for the log, at level warning. */
  warnings: string[];
}

/**
 * Reads and checks a bundle; `adapt` may change the document before it is checked. Throws CAISSON_E_BUNDLE when the
 * directory, its config.json or the root file system is missing or of the wrong kind, CAISSON_E_CONFIG_INVALID and
 * CAISSON_E_CONFIG_UNSUPPORTED as validateConfig does.
 */
export function loadBundle(directory: string, adapt = (document: unknown) => document): Bundle {
  const bundle = resolve(directory);
  requireDirectory(bundle, `use ${bundle} as a bundle`, "Give the bundle's directory with --bundle.");
  const path = join(bundle, "config.json");
  const valid = validateConfig(adapt(readDocument(path, "CAISSON_E_BUNDLE")), path);
  const { config, warnings } = normalise(valid, bundle);
  const rootPath = resolve(bundle, config.root?.path ?? "");
  requireDirectory(
    rootPath,
    `use ${rootPath} as the container's root file system`,
    `Create the directory, or name the right one in root.path of ${path}.`,
    "root.path",
  );
  return { config, bundle, rootfs: realpathSync(rootPath), warnings };
}

/** The process in a file or pipe for `exec --process`; `adapt` may change it before it is checked. Errors as validateProcess. */
export function loadProcess(path: string, adapt = (document: unknown) => document): Process {
  return validateProcess(adapt(readDocument(path, "CAISSON_E_USAGE", { pipes: true })), path);
}

/** The resources in a file or pipe for `update --resources`, `-` for standard input; errors as validateResources. */
export async function loadResources(path: string): Promise<Resources> {
  if (path === "-") return validateResources(await readStdinDocument("CAISSON_E_USAGE"), "standard input");
  return validateResources(readDocument(path, "CAISSON_E_USAGE", { pipes: true }), path);
}

function requireDirectory(path: string, doing: string, remedy: string, field?: string): void {
  const options = { remedy, ...(field !== undefined && { field }) };
  let isDirectory: boolean;
  try {
    isDirectory = statSync(path).isDirectory();
  } catch (cause) {
    throw new CaissonError("CAISSON_E_BUNDLE", systemErrorSentence(doing, cause), { cause, ...options });
  }
  if (!isDirectory) throw new CaissonError("CAISSON_E_BUNDLE", `cannot ${doing}: it is not a directory`, options);
}
