import { log } from "./log.ts";

/**
 * Tells errors that nothing handled in one line, with the stack at level debug. A rejection concerns one call, and the agent
 * goes on for the others; after an exception it ends, and the VM with it.
 */
export function tellUnhandled(): void {
  process.on("unhandledRejection", (error) => tell("an error that nothing handled", error));
  process.on("uncaughtException", (error) => {
    tell("the agent cannot go on", error);
    process.exit(1);
  });
}

function tell(what: string, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  log("error", `${what}: ${message.replace(/\s*\n\s*/g, " ")} (CAISSON_E_INTERNAL)`);
  if (error instanceof Error) log("debug", error.stack ?? "");
}
