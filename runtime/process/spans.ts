/** The parts of this process's start that its trace is to have, from whoever knows of them. Without a trace it costs a comparison. */

export interface Span {
  /** "caisson", "daemon", "agent", "container-init": what did it. */
  component: string;
  name: string;
  /** Unix milliseconds, with fractions. */
  startMs: number;
  endMs: number;
}

export interface SpanCollector {
  add(span: Span): void;
  /** The start is over. @param error why it has failed. */
  end(error?: string): void;
}

let collector: SpanCollector | undefined;

/** Has spans given to `given` from now on; undefined: to nobody. */
export function collectSpans(given: SpanCollector | undefined): void {
  collector = given;
}

export function addSpans(spans: () => readonly Span[]): void {
  if (collector === undefined) return;
  for (const span of spans()) collector.add(span);
}

/** The first container runs, or does not: `error` says why. */
export function startIsOver(error?: string): void {
  collector?.end(error);
}
