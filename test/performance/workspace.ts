import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { loadSettings, type Settings } from "../../runtime/config/load.ts";
import { defaultTemplateDirectory } from "../../runtime/factory/template/space.ts";
import { templateStore } from "../../runtime/factory/vm-config.ts";
import { leftovers } from "../harness/leftovers.ts";
import { Commands } from "./command.ts";

/** The bytes of a block in stat(2)'s count. */
const BLOCK_BYTES = 512;
const END_LIMIT_MS = 10_000;
const END_PAUSE_MS = 50;

/**
 * A folder for all that the bench needs, on the tmpfs where templates are kept, so that no disk is in any figure. Its
 * templates are its own, made for it from the present build.
 */
export class Workspace implements AsyncDisposable {
  readonly directory: string;
  readonly commands: Commands;
  /** In the name of every container, to find what is left of them. */
  readonly mark = `bench${randomBytes(3).toString("hex")}`;
  /** The state directory of each runtime is in here. */
  readonly roots: string;
  /** Settings files: as installed, but with the templates here; the same with clones only; and with none. */
  readonly warm: string;
  readonly cloned: string;
  readonly cold: string;
  readonly #templates: string;

  constructor() {
    const tmpfs = dirname(dirname(defaultTemplateDirectory()));
    this.directory = mkdtempSync(join(tmpfs, "caisson-bench-"));
    this.commands = new Commands(this.directory);
    this.roots = this.folder("roots");
    this.warm = join(this.directory, "warm.toml");
    this.cloned = join(this.directory, "cloned.toml");
    this.cold = join(this.directory, "cold.toml");
    this.#templates = join(this.directory, "kept", "templates");
    const templates = `template_dir = ${JSON.stringify(this.#templates)}\n`;
    writeFileSync(this.warm, templates);
    writeFileSync(this.cloned, `${templates}fork_server = "off"\n`);
    writeFileSync(this.cold, `${templates}template = "off"\n`);
  }

  /** Makes a folder in it. */
  folder(name: string): string {
    const path = join(this.directory, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** What the memory of its templates takes on the host. */
  get templateMib(): number {
    const files = readdirSync(this.#templates, { withFileTypes: true, recursive: true }).filter((entry) =>
      entry.isFile(),
    );
    const blocks = files.map(({ parentPath, name }) => statSync(join(parentPath, name)).blocks);
    return (blocks.reduce((sum, count) => sum + count, 0) * BLOCK_BYTES) / 2 ** 20;
  }

  get settings(): Settings {
    return loadSettings(this.warm);
  }

  /**
   * Removes it.
   * @throws Error when containers of the bench left something on the host, though they had time to end.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    const left = () => leftovers(join(this.roots, "caisson"), this.mark);
    for (const end = performance.now() + END_LIMIT_MS; left().length > 0 && performance.now() < end; ) {
      await sleep(END_PAUSE_MS);
    }
    const still = left();
    // With their fork servers.
    const store = templateStore(this.settings);
    for (const { key } of store.list()) store.remove(key);
    rmSync(this.directory, { recursive: true, force: true });
    if (still.length > 0) throw new Error(`The bench left behind:\n${still.join("\n")}`);
  }
}
