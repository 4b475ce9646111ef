import assert from "node:assert/strict";
import { test } from "node:test";
import { CaissonError } from "../../protocol/errors.ts";
import { defaultSpec } from "./default-spec.ts";
import { validateConfig } from "./validate.ts";

function refusal(config: unknown): CaissonError | undefined {
  try {
    validateConfig(config, "config.json");
    return undefined;
  } catch (error) {
    assert.ok(error instanceof CaissonError, String(error));
    return error;
  }
}

const spec = defaultSpec();
const namespaces = spec.linux?.namespaces ?? [];
const filter = { defaultAction: "SCMP_ACT_ALLOW" };
const withProcess = (process: object) => ({ ...spec, process: { ...spec.process, ...process } });
const withLinux = (linux: object) => ({ ...spec, linux: { ...spec.linux, ...linux } });
const withResources = (resources: object) => withLinux({ resources });
const joining = (type: string) =>
  withLinux({ namespaces: [...namespaces.filter((each) => each.type !== type), { type, path: "/proc/1/ns/x" }] });

const REFUSED: [field: string, config: unknown][] = [
  ["solaris", { ...spec, solaris: {} }],
  ["windows", { ...spec, windows: { layerFolders: [] } }],
  ["zos", { ...spec, zos: {} }],
  ["freebsd", { ...spec, freebsd: {} }],
  ["vm", { ...spec, vm: { kernel: { path: "/vmlinuz" } } }],
  ...(["pid", "ipc", "uts", "mount", "user", "cgroup", "time"] as const).map((type): [string, unknown] => [
    `linux.namespaces[${type}].path`,
    joining(type),
  ]),
  ["linux.namespaces", withLinux({ namespaces: namespaces.filter(({ type }) => type !== "mount") })],
  ["linux.namespaces", withLinux({ namespaces: namespaces.filter(({ type }) => type !== "network") })],
  ["linux.mountLabel", withLinux({ mountLabel: "system_u:object_r:svirt_sandbox_file_t:s0" })],
  ["linux.netDevices", withLinux({ netDevices: { eth0: {} } })],
  [
    "linux.seccomp.listenerPath",
    withLinux({
      seccomp: {
        ...filter,
        listenerPath: "/run/agent.sock",
        syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }],
      },
    }),
  ],
  ["linux.seccomp.flags", withLinux({ seccomp: { ...filter, flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"] } })],
  ["linux.intelRdt", withLinux({ intelRdt: { closID: "x" } })],
  ["linux.memoryPolicy", withLinux({ memoryPolicy: { mode: "MPOL_BIND", nodes: "0" } })],
  ["process.apparmorProfile", withProcess({ apparmorProfile: "docker-default" })],
  ["process.selinuxLabel", withProcess({ selinuxLabel: "system_u:system_r:svirt_lxc_net_t:s0" })],
  ["process.commandLine", withProcess({ commandLine: "cmd.exe" })],
  ["process.user.username", withProcess({ user: { username: "nobody" } })],
  ["linux.resources.memory.kernel", withResources({ memory: { kernel: 1000 } })],
  ["linux.resources.memory.kernelTCP", withResources({ memory: { kernelTCP: 1000 } })],
  ["linux.resources.memory.swappiness", withResources({ memory: { swappiness: 0 } })],
  ["linux.resources.memory.disableOOMKiller", withResources({ memory: { disableOOMKiller: true } })],
  ["linux.resources.memory.useHierarchy", withResources({ memory: { useHierarchy: false } })],
  ["linux.resources.cpu.realtimeRuntime", withResources({ cpu: { realtimeRuntime: 1 } })],
  ["linux.resources.cpu.realtimePeriod", withResources({ cpu: { realtimePeriod: 1 } })],
  ["linux.resources.blockIO.leafWeight", withResources({ blockIO: { leafWeight: 10 } })],
  [
    "linux.resources.blockIO.weightDevice[].leafWeight",
    withResources({ blockIO: { weightDevice: [{ major: 8, minor: 0, leafWeight: 10 }] } }),
  ],
  ["linux.resources.network.classID", withResources({ network: { classID: 1 } })],
  ["linux.resources.network.priorities", withResources({ network: { priorities: [{ name: "eth0", priority: 1 }] } })],
  ["linux.resources.rdma", withResources({ rdma: { mlx5_1: { hcaHandles: 1 } } })],
];

for (const [field, config] of REFUSED) {
  test(`refuseUnsupported names ${field}`, () => {
    const error = refusal(config);
    assert.equal(error?.code, "CAISSON_E_CONFIG_UNSUPPORTED", error?.message);
    assert.equal(error?.field, field);
    assert.ok(error?.message.includes(`${field}: `));
  });
}

test("refuseUnsupported lets pass what asks for nothing: engines write it", () => {
  const config = {
    ...spec,
    hooks: { prestart: [], poststop: [] },
    process: { ...spec.process, apparmorProfile: "", selinuxLabel: "" },
    linux: {
      ...spec.linux,
      seccomp: { ...filter, listenerPath: "/run/agent.sock" },
      mountLabel: "",
      netDevices: {},
      resources: { rdma: {}, network: { priorities: [] } },
    },
  };
  assert.equal(refusal(config), undefined);
});

test("refuseUnsupported names every field at once", () => {
  const error = refusal({ ...spec, vm: {}, process: { ...spec.process, selinuxLabel: "x" } });
  assert.match(error?.message ?? "", /vm: .*; process\.selinuxLabel: /);
});

test("refuseUnsupported says to add a namespace that is missing, and to remove what is there", () => {
  const withoutNetwork = { namespaces: namespaces.filter(({ type }) => type !== "network") };
  const missing = refusal(withLinux(withoutNetwork));
  assert.match(missing?.message ?? "", /linux\.namespaces: a network namespace is missing/);
  assert.equal(missing?.remedy, 'Add {"type": "network"} to linux.namespaces.');
  assert.equal(
    refusal({ ...withLinux(withoutNetwork), vm: {} })?.remedy,
    'Add {"type": "network"} to linux.namespaces. Remove the other field from the configuration.',
  );
  assert.equal(refusal({ ...spec, vm: {} })?.remedy, "Remove the field from the configuration.");
});
