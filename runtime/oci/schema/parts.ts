/** The words the schema is written in: JSON schema (draft 7) objects, and the integer keyword of integer.ts. */
import type { IntegerType } from "./integer.ts";

export type Schema = { readonly [keyword: string]: unknown };

export const string: Schema = { type: "string" };
export const boolean: Schema = { type: "boolean" };
export const strings: Schema = array(string);
export const stringMap: Schema = map(string);

export function integer(type: IntegerType): Schema {
  return { integer: type };
}

export function array(items: Schema): Schema {
  return { type: "array", items };
}

export function map(values: Schema): Schema {
  return { type: "object", additionalProperties: values };
}

export function oneOf(...values: string[]): Schema {
  return { type: "string", enum: values };
}

/** The names of the properties that every value of a type has. */
type RequiredNames<T> = { [name in keyof T]-?: undefined extends T[name] ? never : name }[keyof T];

/**
 * An object of one of protocol/oci's types, with exactly its properties. Others are allowed in a document: config.md,
 * Extensibility.
 */
export function object<T extends object>(
  properties: { [name in keyof T]-?: Schema },
  ...required: RequiredNames<T>[]
): Schema {
  return { type: "object", properties, ...(required.length > 0 && { required }) };
}

/**
 * A schema of its own, compiled to a function of its own: V8 compiles a function when it is first called, so a
 * section that a configuration does not have costs nothing. Named in config.ts.
 */
export function section(name: string): Schema {
  return { $ref: name };
}
