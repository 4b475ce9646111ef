import { loadSettings } from "../config/load.ts";
import { templateStore } from "../factory/vm-config.ts";
import type { Exposition } from "../metrics/exposition.ts";
import { expose } from "./expose.ts";
import { scrape } from "./scrape.ts";

/** All metrics of the host. @param config settings file; the default one when undefined. Throws as loadSettings and scrape do. */
export async function gatherMetrics(root: string, config: string | undefined, version: string): Promise<Exposition> {
  const settings = loadSettings(config);
  return expose(await scrape({ root, templates: () => templateStore(settings).list() }), version);
}
