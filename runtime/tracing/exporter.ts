import { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { STARTER_FD } from "../process/spawn-self.ts";

/** What the exporter is started with. */
export interface ExportParams {
  url: string;
  headers: Record<string, string>;
  timeoutMs: number;
}

/** A start has some dozens of spans. */
const MOST_BYTES = 1024 * 1024;
/** How long who started us may take with what is to be sent: a start has a limit of its own. */
const WAIT_LIMIT_MS = 3600_000;

/**
 * Sends what it is told on its connection, once that has ended, and ends: a process of its own, since the daemon is in the
 * container's network. That nobody takes it is nobody's failure.
 */
export async function runExporter({ url, headers, timeoutMs }: ExportParams): Promise<void> {
  const connection = new Socket({ fd: STARTER_FD, readable: true, writable: false });
  const limit = setTimeout(() => process.exit(1), WAIT_LIMIT_MS);
  const body = await text(connection).catch(() => "");
  clearTimeout(limit);
  if (body === "" || body.length > MOST_BYTES) return;
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body,
      signal: AbortSignal.timeout(timeoutMs),
      redirect: "error",
    });
    await response.body?.cancel();
    process.exitCode = response.ok ? 0 : 1;
  } catch {
    process.exitCode = 1;
  }
}
