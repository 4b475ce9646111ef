import type { Settings } from "../config/load.ts";
import { log } from "../text/log.ts";
import type { TracedStart } from "./start-trace.ts";

/** Any of these switches traces on; which one counts is read where they are. */
const ENDPOINTS = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] as const;

/** Who asks for a start, and for what. */
export interface StartAsked extends Pick<TracedStart, "id" | "name" | "askedMs"> {
  /** W3C's, of the caller. */
  traceparent: string | undefined;
}

/** Whether a start is to be traced, as far as that can be told before it is asked for. */
export function mayTrace({ otelEndpoint }: Settings): boolean {
  return otelEndpoint !== undefined || ENDPOINTS.some((name) => (process.env[name] ?? "") !== "");
}

/** Begins the trace of this process's start (process/spans.ts), if the environment or the settings want one; before it is in its cgroup and network. */
export async function beginTrace(settings: Settings, asked: StartAsked): Promise<void> {
  const { env } = process;
  if (!mayTrace(settings)) return;
  const { isSampled, otelSettings } = await import("../tracing/otel-settings.ts");
  const otel = otelSettings(env, settings, (why) => log.warning(why));
  if (otel === undefined) return;
  const { parseTraceparent } = await import("../tracing/traceparent.ts");
  const parent = parseTraceparent(asked.traceparent);
  if (!isSampled(env, parent)) return;
  const { StartTrace } = await import("./start-trace.ts");
  try {
    new StartTrace({ ...asked, parent }, otel);
  } catch (error) {
    log.warning(`the start is not traced: ${(error as Error).message}`);
  }
}
