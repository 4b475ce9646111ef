/** Names of fields as errors show them: `mounts[3].options[0]`, `annotations["io.caisson.vcpus"]`. */

const PLAIN = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** `parent` may be empty: the top of the document. */
export function fieldOf(parent: string, key: string | number): string {
  if (typeof key === "number") return `${parent}[${key}]`;
  if (!PLAIN.test(key)) return `${parent}[${JSON.stringify(key)}]`;
  return parent === "" ? key : `${parent}.${key}`;
}

/** What a JSON pointer (RFC 6901) into `document` names, with `root` before it, and the value there. */
export function resolvePointer(document: unknown, pointer: string, root: string): { field: string; value: unknown } {
  let field = root;
  let value = document;
  for (const part of pointer.split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    field = fieldOf(field, Array.isArray(value) ? Number(key) : key);
    value = (value as Record<string, unknown>)[key];
  }
  return { field, value };
}

/** A value as it appears in "must be a string, not <value>": never longer than a line's part. */
export function describeValue(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value === "bigint") return value.toString();
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 56)}..."` : text;
}
