/** Properties that the specification does not know: ignored, as config.md (Extensibility) demands, and worth a debug line. */
import { fieldOf } from "./field.ts";
import { sections } from "./schema/config.ts";
import type { Schema } from "./schema/parts.ts";

/** Their names, `linux.resources.memory.future`, in the document's order. The document is a valid configuration. */
export function unknownProperties(document: unknown): string[] {
  return [...below(document, { $ref: "config" }, "")];
}

function* below(value: unknown, schema: Schema, field: string): Iterable<string> {
  const { items, properties, additionalProperties } = resolve(schema);
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* below(item, (items ?? {}) as Schema, fieldOf(field, index));
    return;
  }
  if (typeof value !== "object" || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    const known = (properties as Record<string, Schema> | undefined)?.[key] ?? additionalProperties;
    if (known !== undefined) yield* below(item, known as Schema, fieldOf(field, key));
    else if (properties !== undefined) yield fieldOf(field, key);
  }
}

function resolve(schema: Schema): Schema {
  const { $ref } = schema;
  return typeof $ref === "string" ? (sections[$ref] ?? {}) : schema;
}
