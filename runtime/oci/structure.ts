/** Checks a document against the JSON schema and says in our words what does not fit. */
import type { ErrorObject, ValidateFunction } from "ajv";
import { closest } from "../text/closest.ts";
import { describeValue, fieldOf, resolvePointer } from "./checks/field.ts";
import type { Problem } from "./checks/problem.ts";
import { validateConfig, validateProcess, validateResources } from "./generated/validator.js";

export type DocumentKind = "config" | "process" | "resources";

const VALIDATORS: Record<DocumentKind, ValidateFunction> = {
  config: validateConfig,
  process: validateProcess,
  resources: validateResources,
};

/**
 * Every value of the wrong type and every required field that is missing. Fields are named from the document's kind
 * (`process.cwd`), those of a configuration from its top. A property that is null counts as absent, as it does for Go's
 * decoder and so for runc: it is removed from the document.
 */
export function structureProblems(document: unknown, kind: DocumentKind): Problem[] {
  const validate = VALIDATORS[kind];
  if (validate(document)) return [];
  removeNulls(document);
  if (validate(document)) return [];
  const root = kind === "config" ? "" : kind;
  return (validate.errors ?? []).map((error) => toProblem(document, error, root));
}

function toProblem(document: unknown, error: ErrorObject, root: string): Problem {
  const { field, value } = resolvePointer(document, error.instancePath, root);
  const { missingProperty } = error.params;
  if (missingProperty !== undefined) return { field: fieldOf(field, missingProperty), message: "is required" };
  return { field: field || "the document", message: `${rule(error, value)}, not ${shown(field, value)}` };
}

const TYPES: Record<string, string> = {
  string: "a string",
  boolean: "true or false",
  array: "an array",
  object: "an object",
};

function rule(error: ErrorObject, value: unknown): string {
  const { type, allowedValues } = error.params;
  if (type !== undefined) return `must be ${TYPES[type] ?? `of type ${type}`}`;
  if (allowedValues !== undefined) return `must be ${choice(allowedValues, value)}`;
  return error.message ?? `breaks the rule "${error.keyword}"`;
}

function choice(allowed: string[], value: unknown): string {
  if (allowed.length <= 9) return `one of ${allowed.map((name) => `"${name}"`).join(", ")}`;
  const near = closest(String(value), allowed);
  return near === undefined ? `a name like "${allowed[0]}"` : `a known name like "${near}"`;
}

/** The environment holds secrets: of its entries only the type is told. */
function shown(field: string, value: unknown): string {
  return /(^|\.)env\[/.test(field) && value !== null ? `a ${typeof value}` : describeValue(value);
}

function removeNulls(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    if (item === null && !Array.isArray(value)) delete (value as Record<string, unknown>)[key];
    else removeNulls(item);
  }
}
