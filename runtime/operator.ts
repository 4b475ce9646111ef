/** The command line with the verbs that tell operators how things are, and whatever these load. */
export { main } from "./cli/main.ts";
export { runExporter } from "./tracing/exporter.ts";
