/** The runner's own report (spec), and before its summary one line for each test that was skipped, with its reason. */
import { Readable } from "node:stream";
import { spec } from "node:test/reporters";

/** The part of an event of the runner that is looked at here. */
interface Event {
  type: string;
  data: {
    name?: string;
    file?: string | undefined;
    skip?: string | boolean | undefined;
    message?: string;
    nesting?: number;
  };
}

export default async function* report(events: AsyncIterable<Event>): AsyncGenerator<unknown> {
  yield* Readable.from(withSkipped(events)).pipe(new spec());
}

/** The same events; those of the summary come after what was skipped. */
export async function* withSkipped(events: AsyncIterable<Event>): AsyncGenerator<Event> {
  const skipped: string[] = [];
  for await (const event of events) {
    const { name, file, skip, message, nesting } = event.data;
    if (event.type === "test:pass" && skip !== undefined && skip !== false) {
      const why = typeof skip === "string" && skip !== "" ? skip : "no reason is given";
      skipped.push(`not run: ${name} (${file?.replace(/^.*\/(?=[^/]+\/[^/]+$)/, "") ?? "?"}): ${why}`);
    }
    if (event.type === "test:diagnostic" && nesting === 0 && message?.startsWith("tests ") === true) {
      for (const line of skipped.splice(0)) yield { type: event.type, data: { nesting: 0, message: line } };
    }
    yield event;
  }
}
