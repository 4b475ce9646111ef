/**
 * The steps that container-init carries out, one system call each, and their form on the wire. The C side is
 * native/container-init/steps.c; native/container-init/README.md writes the format down.
 */
/** How an argument travels; C reads them in the order in which a form lists them. */
export type Kind = "u32" | "i32" | "u64" | "string" | "strings" | "u32s" | "bytes";

/** Operation codes and arguments. A code keeps its meaning for ever: the agent and container-init ship together, but a
 * wrong pair must fail and not do something else. */
export const FORMS = {
  // Processes and namespaces.
  fork: { code: 1, arguments: { flags: "u64", cgroup: "string" } },
  openNamespace: { code: 2, arguments: { slot: "u32", path: "string" } },
  setNamespace: { code: 3, arguments: { slot: "u32", type: "u32" } },
  /** Remembers the process that `joinProcess` joins; its pid means something only outside the container. */
  openProcess: { code: 4, arguments: { pid: "u32" } },
  joinProcess: { code: 5, arguments: { types: "u32" } },
  unshare: { code: 12, arguments: { flags: "u32" } },
  /** Writes a file below /proc/<pid of the container's process>. */
  writeProc: { code: 6, arguments: { file: "string", data: "string" } },
  writeFile: { code: 7, arguments: { path: "string", data: "string" } },
  loopbackUp: { code: 8, arguments: {} },
  hostname: { code: 9, arguments: { name: "string" } },
  domainname: { code: 10, arguments: { name: "string" } },

  // The file system. A "tree" is a mount that is not attached anywhere yet; there is one at a time.
  propagation: { code: 20, arguments: { path: "string", propagation: "u64" } },
  rootfs: { code: 21, arguments: { path: "string", privateParent: "u32" } },
  openTree: { code: 22, arguments: { source: "string", recursive: "u32" } },
  openFilesystem: { code: 23, arguments: { type: "string", options: "strings", attributes: "u64" } },
  treeAttributes: {
    code: 24,
    arguments: { recursive: "u32", set: "u64", clear: "u64", propagation: "u64" },
  },
  inheritMode: { code: 25, arguments: { path: "string" } },
  copyUp: { code: 26, arguments: { path: "string" } },
  attachTree: { code: 27, arguments: { target: "string" } },
  targetAttributes: {
    code: 28,
    arguments: { target: "string", recursive: "u32", set: "u64", clear: "u64", propagation: "u64" },
  },
  reconfigure: { code: 29, arguments: { target: "string", options: "strings" } },
  mask: { code: 30, arguments: { path: "string" } },
  makeReadonly: { code: 31, arguments: { path: "string" } },
  makeDirectory: { code: 32, arguments: { path: "string", mode: "u32" } },
  makeDevice: {
    code: 33,
    arguments: { path: "string", mode: "u32", major: "u32", minor: "u32", uid: "u32", gid: "u32" },
  },
  symlink: { code: 34, arguments: { target: "string", path: "string", replace: "u32" } },
  pivotRoot: { code: 35, arguments: {} },
  /** Fails where there is something else than a folder, a symbolic link to one included. */
  requireFolder: { code: 37, arguments: { path: "string" } },
  /** Does what openTree does, with a path in the container's root as it is by now. */
  openInRoot: { code: 38, arguments: { path: "string", recursive: "u32" } },
  /** Does what attachTree does, but lets the tree go where it cannot be attached. */
  attachTreeIfPossible: { code: 39, arguments: { target: "string" } },
  /** In place of `rootfs`, with the tree: puts it where it can be pivoted to. */
  attachRoot: { code: 36, arguments: { path: "string", privateParent: "u32" } },

  // The process.
  setSid: { code: 50, arguments: {} },
  newKeyring: { code: 51, arguments: {} },
  console: { code: 52, arguments: { rows: "u32", columns: "u32", keepNewlines: "u32", bind: "u32" } },
  /** Puts the guest's null device in stdin's place. */
  nullInput: { code: 68, arguments: {} },
  chownDescriptor: { code: 53, arguments: { fd: "u32", uid: "u32" } },
  rlimit: { code: 54, arguments: { resource: "u32", soft: "u64", hard: "u64" } },
  scheduler: {
    code: 55,
    arguments: {
      policy: "u32",
      flags: "u64",
      nice: "i32",
      priority: "u32",
      runtime: "u64",
      deadline: "u64",
      period: "u64",
    },
  },
  ioPriority: { code: 56, arguments: { value: "u32" } },
  personality: { code: 57, arguments: { value: "u32" } },
  affinity: { code: 58, arguments: { mask: "bytes" } },
  /** Before the user changes; a refusal is remembered, and `changeDirectoryAsUser` tries again. */
  changeDirectory: { code: 59, arguments: { path: "string" } },
  changeDirectoryAsUser: { code: 60, arguments: { path: "string" } },
  umask: { code: 61, arguments: { mask: "u32" } },
  boundingSet: { code: 62, arguments: { mask: "u64" } },
  identity: { code: 63, arguments: { uid: "u32", gid: "u32", groups: "u32s" } },
  capabilities: {
    code: 64,
    arguments: { effective: "u64", permitted: "u64", inheritable: "u64", ambient: "u64" },
  },
  noNewPrivileges: { code: 65, arguments: {} },
  seccomp: { code: 66, arguments: { flags: "u32", program: "bytes" } },
  /** Loaded by `execute`, as the last call before execve. */
  seccompAtExecute: { code: 67, arguments: { flags: "u32", program: "bytes" } },

  // The way into the program.
  findProgram: { code: 80, arguments: { name: "string", path: "string" } },
  /** Looks the user up in the container's /etc/passwd and adds HOME to the environment. */
  home: { code: 84, arguments: { uid: "u32" } },
  /** Reports that it was reached and waits for `encodeContinue`. */
  barrier: { code: 81, arguments: {} },
  /**
   * Runs a program to its end, the state that the last `encodeContinue` carried on its stdin, and under the filter that
   * `seccompAtExecute` has kept. `home` 1: it gets the HOME that was looked up. 0 ms: no time limit.
   */
  hook: { code: 82, arguments: { path: "string", args: "strings", env: "strings", home: "u32", timeoutMs: "u32" } },
  execute: { code: 83, arguments: { args: "strings", env: "strings" } },
} as const satisfies Record<string, { code: number; arguments: Record<string, Kind> }>;

export type Value<K extends Kind> = K extends "u32" | "i32"
  ? number
  : K extends "u64"
    ? bigint
    : K extends "string"
      ? string
      : K extends "strings"
        ? readonly string[]
        : K extends "u32s"
          ? readonly number[]
          : Uint8Array;

type Forms = typeof FORMS;
export type Operation = keyof Forms;

/** An operation and its arguments. */
export type Action = {
  [O in Operation]: { op: O } & {
    -readonly [A in keyof Forms[O]["arguments"]]: Value<Forms[O]["arguments"][A] & Kind>;
  };
}[Operation];

/** A step of a plan. What a failure's sentence needs stays here and does not travel. */
export type Step = Action & {
  /** Carried out by the supervising process, which kept the guest's root privileges, on the container's process. */
  supervised?: true;
  /** The field of the OCI configuration that asks for it, `mounts[3]`. */
  field: string;
  /** What the field is about, `/data`. */
  subject?: string;
  /** What the step does, as a gerund: "mounting". */
  task: string;
  /** Only at barriers. */
  barrier?: Barrier;
};

/** Where a plan stops until it is told to go on; "created" is the OCI state. */
export type Barrier = "createContainer" | "created";

/** `encodePlan(plan.steps)` (codec.ts) goes to container-init, `describeFailure(plan, report)` reads what comes back. */
export interface Plan {
  steps: Step[];
}
