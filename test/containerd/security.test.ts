import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Cri, Message } from "./cri.ts";
import { Engine, options, whyNot } from "./engine.ts";
import { Pod } from "./pod.ts";

let engine: Engine;
let cri: Cri;
before(async () => {
  if (whyNot !== undefined) return;
  engine = await Engine.start();
  cri = engine.cri();
});
after(async () => {
  if (whyNot !== undefined) return;
  cri[Symbol.dispose]();
  await engine.stop();
});

const FOREVER = ["sleep", "1000"];

function context(more: Message): Message {
  return { linux: { securityContext: { namespaceOptions: { pid: "CONTAINER" }, ...more } } };
}

test("a container's securityContext and the pod's sysctls are carried out", options, async () => {
  const seccomp = { profileType: "RuntimeDefault" };
  await using pod = await Pod.run(engine, cri, {
    sysctls: { "net.ipv4.ip_unprivileged_port_start": "81", "kernel.shm_rmid_forced": "1" },
    securityContext: { seccomp },
  });
  const container = await pod.container("confined", FOREVER, {
    ...context({
      runAsUser: { value: 1000 },
      runAsGroup: { value: 1000 },
      supplementalGroups: [4242],
      capabilities: { dropCapabilities: ["ALL"] },
      readonlyRootfs: true,
      noNewPrivs: true,
      seccomp,
    }),
    envs: [{ key: "GREETING", value: "hello" }],
    workingDir: "/etc",
  });
  assert.match(await pod.sh(container, "id"), /uid=1000\(user\) gid=1000\(user\) groups=1000\(user\),4242/);
  const status = await pod.sh(container, "cat /proc/self/status");
  assert.match(status, /CapEff:\t0{16}/);
  assert.match(status, /NoNewPrivs:\t1/);
  assert.match(status, /Seccomp:\t2/);
  assert.notEqual((await pod.exec(container, "touch", "/x")).exitCode, 0);
  assert.equal(await pod.sh(container, "pwd; echo $GREETING"), "/etc\nhello");
  assert.equal(await pod.sh(container, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start"), "81");
  assert.equal(await pod.sh(container, "cat /proc/sys/kernel/shm_rmid_forced"), "1");
});

test("a privileged container has the guest's rights", options, async () => {
  await using pod = await Pod.run(engine, cri, { securityContext: { privileged: true } });
  const container = await pod.container("privileged", FOREVER, context({ privileged: true }));
  const [, capabilities = "0"] = /CapEff:\t([0-9a-f]+)/.exec(await pod.sh(container, "cat /proc/self/status")) ?? [];
  assert.ok(BigInt(`0x${capabilities}`) & (1n << 21n), "CAP_SYS_ADMIN");
  await pod.sh(container, "mkdir /m && mount -t tmpfs none /m");
});

test("hostPID and hostIPC are the VM's, shared by the pod's containers; hostNetwork is refused", options, async () => {
  const namespaceOptions = { pid: "NODE", ipc: "NODE" };
  const linux = { securityContext: { namespaceOptions } };
  {
    await using pod = await Pod.run(engine, cri, linux);
    const first = await pod.container("first", ["sleep", "4321"], { linux });
    const second = await pod.container("second", ["sleep", "1234"], { linux });
    const shown = await pod.sh(second, "ps");
    for (const process of [/ 1 root +\/init/, /sleep 4321/, /sleep 1234/]) assert.match(shown, process);
    assert.doesNotMatch(shown, /containerd|qemu-system/);
    const link = (kind: string) => `readlink /proc/self/ns/${kind}`;
    for (const kind of ["pid", "ipc"]) assert.equal(await pod.sh(first, link(kind)), await pod.sh(second, link(kind)));
  }
  const network = { securityContext: { namespaceOptions: { network: "NODE" } } };
  await assert.rejects(Pod.run(engine, cri, network), /CAISSON_E_CONFIG_UNSUPPORTED|network/);
});
