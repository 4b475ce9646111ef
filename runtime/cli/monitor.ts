import { once } from "node:events";
import type { Command } from "commander";
import { isLocal, parseAddress } from "../exporter/address.ts";
import { gatherMetrics } from "../exporter/gather.ts";
import { serveMetrics } from "../exporter/serve.ts";
import { beginMonitoring } from "../metrics/totals.ts";
import { log } from "../text/log.ts";
import { type Globals, verb } from "./command.ts";
import { VERSION } from "./version.ts";

/** What makes it reachable where nothing is said. */
const DEFAULT_ADDRESS = "127.0.0.1:9911";

export function command({ root, config }: Globals): Command {
  return verb("monitor", "Serves the metrics of caisson metrics over HTTP, at /metrics, until a signal ends it.")
    .option("--listen <address>", "unix:PATH, or an IP address with a port", DEFAULT_ADDRESS)
    .action(async ({ listen }: { listen: string }) => {
      const address = parseAddress(listen);
      // Whatever keeps it from gathering is told now.
      await gatherMetrics(root, config, VERSION);
      beginMonitoring();
      let scrapes = 0;
      const { server, at } = await serveMetrics(address, async () => {
        const exposition = await gatherMetrics(root, config, VERSION);
        scrapes += 1;
        exposition.counter("caisson_monitor_scrapes_total", "How often this monitor has gathered.", scrapes);
        return exposition.text();
      });
      log.info(`metrics are at ${at}`);
      if (!isLocal(address))
        log.warning("whoever reaches this address can read the metrics: they name sandboxes and pods");
      for (const signal of ["SIGTERM", "SIGINT"] as const) {
        process.once(signal, () => {
          server.close();
          server.closeAllConnections();
        });
      }
      await once(server, "close");
    });
}
