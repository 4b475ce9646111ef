/** config.md, Specification version: `ociVersion` is a semantic version (semver.org 2.0.0); we carry out major 1. */
import { describeValue } from "./checks/field.ts";
import type { Problem } from "./checks/problem.ts";

const SEMVER = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/;

/** Nothing for 1.x.y, with or without a pre-release ("1.0.2-dev"): minor versions only add (spec.md). */
export function versionProblem(ociVersion: string): Problem | undefined {
  const field = "ociVersion";
  const parts = SEMVER.exec(ociVersion);
  if (parts === null) {
    return { field, message: `must be a semantic version like "1.2.0", not ${describeValue(ociVersion)}` };
  }
  if (parts[1] === "1") return undefined;
  return {
    field,
    message: `must have the major version 1, which this runtime carries out, not ${describeValue(ociVersion)}`,
  };
}
