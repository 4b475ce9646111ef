/** config-linux.md: Seccomp. */
import type { Seccomp, SeccompAction } from "../../../protocol/oci.ts";
import { type Check, noNulByte } from "./check.ts";
import type { Problem } from "./problem.ts";

export const seccomp: Check = function* ({ linux }) {
  if (linux?.seccomp !== undefined) yield* filter(linux.seccomp, "linux.seccomp");
};

function* filter(seccomp: Seccomp, field: string): Iterable<Problem> {
  const { defaultAction, defaultErrnoRet, listenerPath = "", listenerMetadata = "", syscalls = [] } = seccomp;
  yield* errnoRet(`${field}.defaultErrnoRet`, defaultErrnoRet, defaultAction);
  if (defaultAction === "SCMP_ACT_NOTIFY") {
    yield {
      field: `${field}.defaultAction`,
      message: "must not be SCMP_ACT_NOTIFY: the listener's own calls would wait for it",
    };
  }
  if (listenerMetadata !== "" && listenerPath === "") {
    yield { field: `${field}.listenerMetadata`, message: "has a meaning only with listenerPath" };
  }
  for (const [index, { names, action, errnoRet: code, args = [] }] of syscalls.entries()) {
    const rule = `${field}.syscalls[${index}]`;
    if (names.length === 0) yield { field: `${rule}.names`, message: "must have at least one entry" };
    for (const [at, name] of names.entries()) {
      if (name === "") yield { field: `${rule}.names[${at}]`, message: "must not be empty" };
      yield* noNulByte(`${rule}.names[${at}]`, name);
    }
    yield* errnoRet(`${rule}.errnoRet`, code, action);
    if (action === "SCMP_ACT_NOTIFY" && listenerPath === "") {
      yield { field: `${rule}.action`, message: "needs listenerPath, which names who decides" };
    }
    for (const [at, { index: argument }] of args.entries()) {
      // A system call has at most six arguments (syscall(2)).
      if (argument > 5) yield { field: `${rule}.args[${at}].index`, message: `must be from 0 to 5, not ${argument}` };
    }
  }
}

/** seccomp(2): SECCOMP_RET_DATA has 16 bits, and only these actions return it. */
function* errnoRet(field: string, code: number | undefined, action: SeccompAction): Iterable<Problem> {
  if (code === undefined) return;
  if (action !== "SCMP_ACT_ERRNO" && action !== "SCMP_ACT_TRACE") {
    yield { field, message: `has a meaning only with SCMP_ACT_ERRNO and SCMP_ACT_TRACE, not ${action}` };
  } else if (code > 0xffff) {
    yield { field, message: `must be at most 65535, not ${code}` };
  }
}
