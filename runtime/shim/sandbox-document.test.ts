import assert from "node:assert/strict";
import { test } from "node:test";
import type {
  IDMapping,
  LinuxPodSandboxConfig,
  NamespaceMode,
  PodSandboxConfig,
} from "../../protocol/generated/containerd/pod-config.ts";
import { parseJson, stringifyJson } from "../../protocol/json.ts";
import type { Spec } from "../../protocol/oci.ts";
import { normalise } from "../oci/normalise.ts";
import { validateConfig } from "../oci/validate.ts";
import { resolverText, sandboxDocument } from "./sandbox-document.ts";

const LINUX: LinuxPodSandboxConfig = {
  cgroupParent: "/kubepods/pod1",
  securityContext: undefined,
  sysctls: { "net.ipv4.ip_unprivileged_port_start": "0" },
  overhead: undefined,
  resources: { cpuPeriod: 100_000n, cpuQuota: 250_000n, cpuShares: 2n, memoryLimitInBytes: 1_073_741_824n },
};
const CONFIG: PodSandboxConfig = {
  hostname: "host",
  dnsConfig: undefined,
  annotations: { "io.caisson.machine": "q35" },
  linux: LINUX,
};
const WISH = { id: "s", netns: "/run/netns/cni-1", config: CONFIG, spec: undefined, annotations: {} };

function withNamespaces(modes: Partial<Record<"network" | "pid" | "ipc", NamespaceMode>>, linux = LINUX): Spec {
  const namespaceOptions = { network: 0, pid: 0, ipc: 0, usernsOptions: undefined, ...modes } as const;
  return sandboxDocument({
    ...WISH,
    config: { ...CONFIG, linux: { ...linux, securityContext: { namespaceOptions } } },
  });
}

const types = (spec: Spec) => spec.linux?.namespaces?.map(({ type }) => type).sort();

test("sandboxDocument is a valid configuration with the pod's name, network, sysctls, cgroup and size", () => {
  const document = sandboxDocument(WISH);
  const { config } = normalise(validateConfig(parseJson(stringifyJson(document)), "config.json"), "/bundle");
  assert.equal(config.hostname, "host");
  assert.equal(config.linux?.cgroupsPath, "/kubepods/pod1/s");
  assert.deepEqual(config.linux?.sysctl, LINUX.sysctls);
  assert.deepEqual(
    config.linux?.namespaces?.find(({ type }) => type === "network"),
    { type: "network", path: "/run/netns/cni-1" },
  );
  assert.deepEqual(types(config), ["cgroup", "ipc", "mount", "network", "pid", "uts"]);
  assert.deepEqual(config.annotations, {
    "io.caisson.machine": "q35",
    "io.kubernetes.cri.container-type": "sandbox",
    "io.kubernetes.cri.sandbox-id": "s",
    "io.kubernetes.cri.sandbox-cpu-period": "100000",
    "io.kubernetes.cri.sandbox-cpu-quota": "250000",
    "io.kubernetes.cri.sandbox-cpu-shares": "2",
    "io.kubernetes.cri.sandbox-memory": "1073741824",
  });
});

test("sandboxDocument leaves out what is the node's, which validateConfig refuses where a VM cannot have it", () => {
  assert.deepEqual(types(withNamespaces({ pid: 2, ipc: 2 })), ["cgroup", "mount", "network", "uts"]);
  const network = withNamespaces({ network: 2 });
  assert.throws(() => validateConfig(network, "config.json"), { code: "CAISSON_E_CONFIG_UNSUPPORTED" });
});

function withUsers(uids: IDMapping[], gids: IDMapping[]): Spec {
  const namespaceOptions = { network: 0, pid: 0, ipc: 0, usernsOptions: { mode: 0, uids, gids } } as const;
  return sandboxDocument({
    ...WISH,
    config: { ...CONFIG, linux: { ...LINUX, securityContext: { namespaceOptions } } },
  });
}

test("sandboxDocument of a pod with a user namespace has the ids that the kubelet says", () => {
  const mappings = [{ hostId: 65_536, containerId: 0, length: 65_536 }];
  const { config } = normalise(validateConfig(withUsers(mappings, mappings), "config.json"), "/bundle");
  const expected = [{ containerID: 0, hostID: 65_536, size: 65_536 }];
  assert.deepEqual([config.linux?.uidMappings, config.linux?.gidMappings], [expected, expected]);
  assert.ok(types(config)?.includes("user"));
});

test("sandboxDocument of a pod with a user namespace is refused where nobody says which ids it maps", () => {
  assert.throws(() => withUsers([], []), { code: "CAISSON_E_CONFIG_UNSUPPORTED", message: /which ids of the host/ });
});

test("sandboxDocument names a cgroup below a slice as systemd's drivers do", () => {
  const { linux } = withNamespaces({}, { ...LINUX, cgroupParent: "/kubepods.slice/kubepods-pod1.slice" });
  assert.equal(linux?.cgroupsPath, "kubepods-pod1.slice:cri-containerd:s");
});

test("sandboxDocument takes another client's configuration without its program", () => {
  const spec: Spec = {
    ociVersion: "1.1.0",
    process: { args: ["/bin/pause"], cwd: "/work" },
    hostname: "given",
    mounts: [{ destination: "/data", type: "bind", source: "/data" }],
    annotations: { a: "1", b: "1" },
    linux: { namespaces: [{ type: "network" }, { type: "mount" }], maskedPaths: ["/proc/keys"] },
  };
  const document = sandboxDocument({ ...WISH, config: undefined, spec, annotations: { b: "2" } });
  assert.deepEqual(document.process?.args, ["/pause"]);
  assert.equal(document.hostname, "given");
  assert.deepEqual(document.mounts, []);
  assert.deepEqual(document.annotations, { a: "1", b: "2" });
  assert.deepEqual(document.linux, {
    namespaces: [{ type: "network", path: "/run/netns/cni-1" }, { type: "mount" }],
  });
});

test("resolverText is undefined without any word on names, else resolv.conf(5)", () => {
  assert.equal(resolverText(CONFIG), undefined);
  const dnsConfig = { servers: ["192.0.2.1", "192.0.2.2"], searches: ["a.example", "b.example"], options: ["ndots:5"] };
  assert.equal(
    resolverText({ ...CONFIG, dnsConfig }),
    "search a.example b.example\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:5\n",
  );
});
