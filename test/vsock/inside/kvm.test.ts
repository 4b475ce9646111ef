/** Runs in the outer VM: the main job over its vhost_vsock and vhost_net, under its (emulated) KVM. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, type TestContext, test } from "node:test";
import { loadSettings } from "../../../runtime/config/load.ts";
import { Bundle } from "../../harness/bundle.ts";
import { Host, type Result, until } from "../../harness/host.ts";
import { inNetns, Netns } from "../../harness/network.ts";
import { qemusOf } from "../../harness/qemu.ts";
import { type BareTimes, bareClone } from "./bare-clone.ts";

const SETTINGS = "/etc/caisson/config.toml";
/** How often a start is measured; the median counts. */
const STARTS = 3;
const host = new Host();
const folder = mkdtempSync(join(tmpdir(), "caisson-kvm-"));

before(() => {
  execFileSync("modprobe", ["-a", "sch_ingress", "cls_u32", "act_mirred"]);
});
afterEach(async () => {
  const left = await host.remains();
  await host.clear();
  assert.deepEqual(left, []);
});
after(async () => {
  await host[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** A container that says what it was given. */
function echoing(annotations: Record<string, string> = {}): Bundle {
  const bundle = new Bundle(["sh", "-c", "cat; echo to stderr >&2; exit 3"]);
  bundle.spec.annotations = annotations;
  return bundle.write();
}

async function runsWith(annotations: Record<string, string>): Promise<number> {
  using bundle = echoing(annotations);
  const start = performance.now();
  const result: Result = await host.run(["run", "-b", bundle.directory, host.id()], { input: "over vsock" });
  const ms = Math.round(performance.now() - start);
  assert.deepEqual(result, { exitCode: 3, stdout: "over vsock", stderr: "to stderr\n" });
  return ms;
}

async function pidOf(id: string): Promise<number> {
  return (JSON.parse(await host.ok(["state", id])) as { pid: number }).pid;
}

async function commandLine(id: string): Promise<string[]> {
  const pid = qemusOf(await pidOf(id))[0] ?? assert.fail("it has no QEMU");
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
}

const median = (values: number[]) => values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;

test("run takes the template, and is a clone of it", async (t) => {
  t.diagnostic(`${await runsWith({})} ms with the template`);
  assert.match(await host.ok(["template", "list"]), /microvm +kvm +usable/);
});

test("run starts clones", async (t: TestContext) => {
  const settings = loadSettings(SETTINGS);
  const whole: number[] = [];
  const bare: BareTimes[] = [];
  for (let i = 0; i < STARTS; i++) {
    whole.push(await runsWith({}));
    bare.push(await bareClone(settings, folder, AbortSignal.timeout(120_000)));
  }
  t.diagnostic(`run to its end: ${median(whole)} ms (${whole.join(", ")})`);
  t.diagnostic(`a bare clone: runs after ${median(bare.map(({ runsMs }) => runsMs))} ms`);
  t.diagnostic(`a bare clone: its agent has answered after ${median(bare.map(({ answersMs }) => answersMs))} ms`);
});

test("create, start and exec over vsock: vhost-net, 4 MiB each way, a volume both ways", async () => {
  using outside = new Netns();
  using inside = new Netns();
  inside.veth("eth0", outside, "far");
  outside.ip("addr add 192.168.10.100/24 dev far");
  inside.ip("addr add 192.168.10.101/24 dev eth0");
  using bundle = inNetns(new Bundle(), inside.path);
  bundle.spec.mounts?.push({ destination: "/volume", source: folder, options: ["bind"] });
  bundle.write();
  const id = await host.start(bundle);
  const words = await commandLine(id);
  assert.ok(
    words.some((word) => /^vhost-vsock-device,.*guest-cid=/.test(word)),
    words.join(" "),
  );
  assert.match(await host.ok(["exec", id, "grep", " /volume ", "/proc/mounts"]), / virtiofs /);
  const [qemu = 0] = qemusOf(await pidOf(id));
  const open = readdirSync(`/proc/${qemu}/fd`).map((fd) => readlinkSync(`/proc/${qemu}/fd/${fd}`));
  assert.ok(open.includes("/dev/vhost-net"), open.join(" "));
  await until(
    async () => (await outside.run("busybox", "ping", "-c", "1", "-W", "5", "192.168.10.101")).exitCode === 0,
  );

  const data = randomBytes(4 * 1024 * 1024);
  const sum = createHash("sha256").update(data).digest("hex");
  assert.equal(await host.ok(["exec", id, "sha256sum"], { input: data }), `${sum}  -\n`);
  writeFileSync(join(folder, "data"), data);
  assert.equal(await host.ok(["exec", id, "sha256sum", "/volume/data"]), `${sum}  /volume/data\n`);
  await host.ok(["exec", id, "sh", "-c", "cat >/volume/back"], { input: data });
  assert.ok(readFileSync(join(folder, "back")).equals(data));
  await host.ok(["delete", "--force", id]);
});

test("a pod's second container is in the first one's VM", async () => {
  using first = new Bundle();
  first.spec.annotations = { "io.kubernetes.cri-o.ContainerType": "sandbox" };
  const pod = await host.start(first.write());
  const pid = await pidOf(pod);
  using second = new Bundle(["sh", "-c", "busybox readlink /proc/self/ns/net"]);
  const { linux } = second.spec;
  const types = { network: "net", ipc: "ipc", uts: "uts" } as Record<string, string>;
  delete second.spec.hostname;
  second.spec.linux = {
    ...linux,
    namespaces: (linux?.namespaces ?? []).map(({ type }) =>
      types[type] === undefined ? { type } : { type, path: `/proc/${pid}/ns/${types[type]}` },
    ),
  };
  const printed = await host.ok(["run", "-b", second.write().directory, host.id()]);
  assert.equal(printed, await host.ok(["exec", pod, "busybox", "readlink", "/proc/self/ns/net"]));
  await host.ok(["delete", "--force", pod]);
});

test("run boots a VM of q35", async (t) => {
  t.diagnostic(`${await runsWith({ "io.caisson.machine": "q35", "io.caisson.template": "off" })} ms`);
});

test("check: KVM and vsock will be used, and a VM boots", async () => {
  const printed = await host.ok(["check"]);
  const lines = [
    /kvm will be used/,
    /vsock will be used/,
    /vhost_net +will be used/,
    /host cgroups +v2;/,
    /VM +boots: /,
  ];
  for (const line of lines) {
    assert.match(printed, line);
  }
});
