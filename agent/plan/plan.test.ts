import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Namespace, NamespaceType, Process, Spec } from "../../protocol/oci.ts";
import { describeFailure } from "../container-init/step-error.ts";
import type { Step } from "../container-init/steps.ts";
import { type CreateInput, compileCreate, compileExec } from "./plan.ts";

const ALL: NamespaceType[] = ["pid", "network", "ipc", "uts", "mount", "cgroup"];
const made = (...types: NamespaceType[]): Namespace[] => types.map((type) => ({ type }));
const MAPS = [{ containerID: 0, hostID: 100000, size: 65536 }];
const PROCESS: Process = { cwd: "/", args: ["true"] };

function config(changes: Partial<Spec> = {}): Spec {
  return { ociVersion: "1.2.0", process: PROCESS, linux: { namespaces: made(...ALL) }, ...changes };
}

function create(changes: Partial<Spec> = {}, input: Partial<CreateInput> = {}): Step[] {
  return compileCreate({ config: config(changes), rootfs: "/r", cgroupPath: "/c", rows: 0, columns: 0, ...input })
    .steps;
}

function exec(process: Partial<Process> = {}, changes: Partial<Spec> = {}): Step[] {
  const all = { ...PROCESS, ...process };
  return compileExec({ process: all, config: config(changes), initPid: 9, cgroupPath: "/c", rows: 0, columns: 0 })
    .steps;
}

const ops = (steps: Step[]) => steps.map((step) => step.op);
const order = (steps: Step[], ...names: Step["op"][]) => {
  const places = names.map((name) => ops(steps).indexOf(name));
  assert.ok(!places.includes(-1), `${names} in ${ops(steps)}`);
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
    `${names} in ${ops(steps)}`,
  );
};

test("compileCreate makes all namespaces by one fork, and the cgroup namespace behind it", () => {
  const steps = create();
  const forks = steps.filter((step) => step.op === "fork");
  assert.deepEqual(
    forks.map((step) => [step.flags, step.cgroup]),
    [[0x6c020000n, "/c"]],
  );
  order(
    steps,
    "fork",
    "writeProc",
    "unshare",
    "loopbackUp",
    "propagation",
    "rootfs",
    "pivotRoot",
    "barrier",
    "execute",
  );
});

test("compileCreate forks twice when a user namespace meets joined ones, joining before and making after", () => {
  const namespaces = [{ type: "network" as const, path: "/proc/1/ns/net" }, ...made("user", "mount", "pid")];
  const steps = create({ linux: { namespaces, uidMappings: MAPS, gidMappings: MAPS } });
  assert.equal(ops(steps).filter((op) => op === "fork").length, 2);
  order(steps, "openNamespace", "fork", "setNamespace", "unshare", "identity", "attachRoot");
  const unshared = steps.filter((step) => step.op === "unshare").map((step) => step.flags);
  assert.deepEqual(unshared, [0x10000000, 0x20020000]);
});

test("compileCreate joins a pid namespace between the forks when there are two, else before the only one", () => {
  const pid = { type: "pid" as const, path: "/proc/1/ns/pid" };
  order(create({ linux: { namespaces: [pid, ...made("mount")] } }), "openNamespace", "setNamespace", "fork");
  const user = { type: "user" as const, path: "/proc/1/ns/user" };
  const steps = create({ linux: { namespaces: [pid, user, ...made("mount")] } });
  const entering = steps
    .filter(({ op }) => op === "fork" || op === "setNamespace")
    .map((step) => (step.op === "setNamespace" ? step.type : step.op));
  assert.deepEqual(entering, ["fork", 0x20000000, 0x10000000, "fork"]);
});

test("compileCreate has the guest's root do what the container's root may not", () => {
  const process = { ...PROCESS, rlimits: [{ type: "RLIMIT_NOFILE", soft: 1, hard: 2n ** 64n - 1n }] };
  const mounts = [
    { destination: "/m", type: "bind", source: "/s" },
    { destination: "/dev", type: "tmpfs" },
  ];
  const supervised = (steps: Step[]) => new Set(steps.filter((step) => step.supervised).map((step) => step.op));
  assert.deepEqual(supervised(create({ process, mounts })), new Set());
  const linux = { namespaces: made(...ALL, "user"), uidMappings: MAPS, gidMappings: MAPS };
  const inside = supervised(create({ process, mounts, linux }));
  assert.deepEqual(inside, new Set(["writeProc", "openTree", "treeAttributes", "rlimit", "chownDescriptor"]));
});

test("compileCreate hands stdio over to the user as the guest knows him", () => {
  const uids = (steps: Step[]) =>
    steps.filter((step) => step.op === "chownDescriptor").map((step) => [step.fd, step.uid]);
  const process = { ...PROCESS, user: { uid: 5, gid: 5 } };
  const linux = { namespaces: made(...ALL, "user"), uidMappings: MAPS, gidMappings: MAPS };
  assert.deepEqual(uids(create()), []);
  assert.deepEqual(uids(create({ process })), [
    [0, 5],
    [1, 5],
    [2, 5],
  ]);
  assert.deepEqual(uids(create({ process, linux })), [
    [0, 100005],
    [1, 100005],
    [2, 100005],
  ]);
  assert.deepEqual(uids(create({ process: { ...process, terminal: true }, linux })), [[0, 5]]);
  const far = { ...PROCESS, user: { uid: 70000, gid: 0 } };
  assert.throws(() => create({ process: far, linux }), { code: "CAISSON_E_CONFIG_INVALID", field: "process.user.uid" });
});

test("compileCreate loads the filter before the rights go, or last with no_new_privs", () => {
  const seccomp = { program: new Uint8Array(8), flags: 0 };
  order(create({}, { seccomp }), "seccomp", "boundingSet", "identity", "capabilities", "barrier", "execute");
  const process = { ...PROCESS, noNewPrivileges: true };
  order(
    create({ process }, { seccomp }),
    "noNewPrivileges",
    "boundingSet",
    "identity",
    "capabilities",
    // Kept for the program and for the hooks before it.
    "seccompAtExecute",
    "barrier",
    "execute",
  );
  for (const length of [0, 7, 8 * 4097]) {
    assert.throws(() => create({}, { seccomp: { program: new Uint8Array(length), flags: 0 } }), {
      code: "CAISSON_E_CONFIG_INVALID",
      field: "linux.seccomp",
    });
  }
});

test("compileCreate stops at createContainer only when there are such hooks", () => {
  const barriers = (steps: Step[]) => steps.filter((step) => step.op === "barrier").map((step) => step.barrier);
  const hooks = { createContainer: [{ path: "/h", env: [] }], startContainer: [{ path: "/s", timeout: 2 }] };
  assert.deepEqual(barriers(create()), ["created"]);
  const steps = create({ hooks, process: { ...PROCESS, env: ["A=a", "HOME=", "A=b"] } });
  assert.deepEqual(barriers(steps), ["createContainer", "created"]);
  order(steps, "rootfs", "barrier", "hook", "pivotRoot");
  const ran = steps.filter((step) => step.op === "hook");
  assert.deepEqual(
    ran.map(({ args, env, home, timeoutMs }) => ({ args, env, home, timeoutMs })),
    [
      { args: ["/h"], env: [], home: 0, timeoutMs: 0 },
      // Without an environment of its own it has the container's.
      { args: ["/s"], env: ["A=b"], home: 1, timeoutMs: 2000 },
    ],
  );
});

test("compileCreate refuses what no step carries out, naming the field", () => {
  const cases: [Partial<Spec>, string][] = [
    [{ windows: {}, vm: { hypervisor: { path: "/x" } } }, "vm"],
    [{ linux: { namespaces: made(...ALL), mountLabel: "label" } }, "linux.mountLabel"],
    [{ linux: { namespaces: made(...ALL), intelRdt: { closID: "x" } } }, "linux.intelRdt"],
    [{ linux: { namespaces: made(...ALL), seccomp: { defaultAction: "SCMP_ACT_ALLOW" } } }, "linux.seccomp"],
    [{ linux: { namespaces: made(...ALL), netDevices: { eth0: {} } } }, "linux.netDevices"],
    [{ linux: { namespaces: made("pid") } }, "linux.namespaces"],
    [{ linux: {} }, "linux.namespaces"],
    [{ process: { ...PROCESS, apparmorProfile: "p" } }, "process.apparmorProfile"],
    [{ process: { ...PROCESS, selinuxLabel: "l" } }, "process.selinuxLabel"],
    [{ process: { ...PROCESS, user: { username: "u" } } }, "process.user.username"],
    [
      { process: { ...PROCESS, capabilities: { bounding: ["CAP_CHOWN", "CAP_FLY"] } } },
      "process.capabilities.bounding[1]",
    ],
    [{ mounts: [{ destination: "/m", type: "bind", source: "/s", options: ["size=1"] }] }, "mounts[0].options"],
    [{ mounts: [{ destination: "/m", type: "tmpfs", options: ["noacl"] }] }, "mounts[0].options[0]"],
    [{ linux: { namespaces: made(...ALL), sysctl: { "kernel.panic": "1" } } }, 'linux.sysctl["kernel.panic"]'],
    [
      { linux: { namespaces: made(...ALL), personality: { domain: "LINUX", flags: ["X"] } } },
      "linux.personality.flags",
    ],
  ];
  for (const [changes, field] of cases) {
    assert.throws(() => create(changes), { code: "CAISSON_E_CONFIG_UNSUPPORTED", field }, field);
  }
});

test("compileCreate refuses what makes no sense, naming the field", () => {
  const cases: [Partial<Spec>, string][] = [
    [{ process: undefined }, "process"],
    [{ process: { cwd: "/", args: [] } }, "process.args"],
    [{ process: { ...PROCESS, cwd: "relative" } }, "process.cwd"],
    [{ process: { ...PROCESS, env: ["A=1", "B"] } }, "process.env[1]"],
    [{ process: { ...PROCESS, rlimits: [{ type: "RLIMIT_X", soft: 1, hard: 1 }] } }, "process.rlimits[0].type"],
    [{ linux: { namespaces: [...made(...ALL), { type: "pid" }] } }, "linux.namespaces[6]"],
    [{ linux: { namespaces: made(...ALL, "user") } }, "linux.uidMappings"],
    [{ linux: { namespaces: made(...ALL), gidMappings: MAPS } }, "linux.gidMappings"],
    [{ linux: { namespaces: made(...ALL), timeOffsets: { boottime: { secs: 1 } } } }, "linux.timeOffsets"],
    [{ hostname: "h", linux: { namespaces: made("mount") } }, "hostname"],
    [{ linux: { namespaces: made("mount"), sysctl: { "kernel.sem": "1" } } }, 'linux.sysctl["kernel.sem"]'],
    [
      { linux: { namespaces: made(...ALL), sysctl: { "net/../kernel/panic": "1" } } },
      'linux.sysctl["net/../kernel/panic"]',
    ],
    [{ mounts: [{ destination: "/proc/sys", type: "tmpfs" }] }, "mounts[0].destination"],
    [{ mounts: [{ destination: "/m" }] }, "mounts[0].type"],
    [{ mounts: [{ destination: "/m", type: "bind" }] }, "mounts[0].source"],
  ];
  for (const [changes, field] of cases) {
    assert.throws(() => create(changes), { code: "CAISSON_E_CONFIG_INVALID", field }, field);
  }
});

test("compileExec joins by the init's pid before and after the fork, and has no barrier", () => {
  const steps = exec({ execCPUAffinity: { initial: "0-1", final: "9" } });
  order(steps, "affinity", "openProcess", "joinProcess", "fork", "newKeyring", "setSid", "execute");
  assert.deepEqual(
    steps.filter((step) => step.op === "joinProcess").map((step) => step.types),
    [0x20000000, 0x4e020000],
  );
  assert.deepEqual(
    steps.filter((step) => step.op === "affinity").map((step) => [step.mask[0], step.mask[1]]),
    [
      [3, 0],
      [0, 2],
    ],
  );
  assert.ok(!ops(steps).includes("barrier"));
});

test("compileExec takes rights that the process leaves out from the container", () => {
  const first: Process = {
    ...PROCESS,
    noNewPrivileges: true,
    oomScoreAdj: 7,
    capabilities: { bounding: ["CAP_CHOWN"] },
  };
  const steps = exec({}, { process: first });
  assert.equal(steps.find((step) => step.op === "boundingSet")?.mask, 1n);
  assert.equal(steps.find((step) => step.op === "writeProc")?.data, "7");
  assert.ok(ops(steps).includes("noNewPrivileges"));
  assert.ok(!ops(exec({ noNewPrivileges: false }, { process: first })).includes("noNewPrivileges"));
});

test("every step of a plan says which field it is for", () => {
  for (const step of [...create({ hostname: "h", root: { path: "r", readonly: true } }), ...exec()]) {
    assert.match(step.field, /^(process|linux|root|mounts|hostname)/);
    assert.ok(step.task.length > 0);
  }
});

test("describeFailure knows the step, the code and the reason, and any index and errno", () => {
  const plan = { steps: create() };
  const at = (op: Step["op"], errno: number, detail = "") =>
    describeFailure(plan, { type: "failed", index: ops(plan.steps).indexOf(op), errno, detail });
  assert.equal(at("findProgram", 2).code, "CAISSON_E_COMMAND_NOT_FOUND");
  assert.equal(at("execute", 13).code, "CAISSON_E_COMMAND_NOT_EXECUTABLE");
  assert.equal(
    at("changeDirectory", 18).message,
    `process.cwd "/": changing to the working directory (chdir) failed: the directory lies outside the container`,
  );
  assert.equal(at("rootfs", 2).message, `root.path "/r": mounting the root failed: no such file or directory (ENOENT)`);
  assert.equal(at("rootfs", 5, "disk").message, `root.path "/r": mounting the root failed: i/o error (EIO): disk`);
  fc.assert(
    fc.property(fc.nat(), fc.integer(), fc.string(), (index, errno, detail) => {
      assert.match(describeFailure(plan, { type: "failed", index, errno, detail }).message, /: /);
    }),
  );
});
