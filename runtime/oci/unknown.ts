/**
 * Properties that the specification does not know: ignored, as config.md (Extensibility) demands. They are taken out, so
 * that behind the host's edge a property that nobody carries out can be refused without looking for its origin.
 */
import { fieldOf } from "./checks/field.ts";
import { sections } from "./schema/config.ts";
import type { Schema } from "./schema/parts.ts";
import type { DocumentKind } from "./structure.ts";

/**
 * Removes them from a document that fits its schema, and returns their names in the document's order:
 * `linux.resources.memory.future`.
 */
export function removeUnknown(document: unknown, kind: DocumentKind): string[] {
  return [...below(document, { $ref: kind }, kind === "config" ? "" : kind)];
}

function* below(value: unknown, schema: Schema, field: string): Iterable<string> {
  const { items, properties, additionalProperties } = resolve(schema);
  if (Array.isArray(value)) {
    // A list of plain values has nothing to remove, and lists of arguments and paths are long.
    if (typeof value[0] !== "object") return;
    for (const [index, item] of value.entries()) yield* below(item, items as Schema, fieldOf(field, index));
    return;
  }
  if (typeof value !== "object" || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    const known = properties === undefined ? additionalProperties : own(properties as Record<string, Schema>, key);
    if (known !== undefined) {
      yield* below(item, known as Schema, fieldOf(field, key));
    } else if (properties !== undefined) {
      delete (value as Record<string, unknown>)[key];
      yield fieldOf(field, key);
    }
  }
}

function own(table: Record<string, Schema>, key: string): Schema | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function resolve(schema: Schema): Schema {
  const { $ref } = schema;
  return typeof $ref === "string" ? (sections[$ref] ?? {}) : schema;
}
