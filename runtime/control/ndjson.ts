import type { Duplex } from "node:stream";
import { CaissonError } from "../../protocol/errors.ts";
import { parseJson, stringifyJson } from "../../protocol/json.ts";
import { MAX_LINE } from "./protocol.ts";

/**
 * Calls `take` with each JSON line of the stream, parsed. A line that is too long or not JSON destroys the stream with
 * CAISSON_E_INTERNAL: after it nothing on the stream can be trusted.
 */
export function readLines(stream: Duplex, take: (value: unknown) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE) {
      stream.destroy(new CaissonError("CAISSON_E_INTERNAL", `a control message is longer than ${MAX_LINE} bytes`));
      return;
    }
    for (const line of lines) {
      let value: unknown;
      try {
        value = parseJson(line);
      } catch (cause) {
        stream.destroy(new CaissonError("CAISSON_E_INTERNAL", "a control message is not JSON", { cause }));
        return;
      }
      take(value);
    }
  });
}

/** Writes one value as a line; does nothing on a stream that has ended. */
export function writeLine(stream: Duplex, value: unknown): void {
  if (stream.writable) stream.write(`${stringifyJson(value)}\n`);
}
