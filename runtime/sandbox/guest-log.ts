import type { LogRecord } from "../../protocol/generated/agent.ts";
import type { Agent } from "../agent-client/client.ts";
import { printable } from "../agent-client/printable.ts";
import { log } from "../log.ts";

/** Brings the agent's log into ours until the connection ends. What it says is the guest's word: shown, never acted on. */
export function followGuestLog(agent: Agent): void {
  const stream = agent.watchLog();
  stream.on("error", () => {});
  stream.on("data", ({ level, message, dropped }: LogRecord) => {
    if (dropped > 0n) log.warning(`guest: ${dropped} log records were dropped`);
    const text = `guest: ${printable(message)}`;
    if (level === "error") log.error(text);
    else if (level === "warning") log.warning(text);
    else if (level === "info") log.info(text);
    else log.debug(text);
  });
}
