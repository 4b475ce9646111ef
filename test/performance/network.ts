import { closeSync } from "node:fs";
import { openTap } from "../../native/posix/index.ts";
import type { Spec } from "../../protocol/oci.ts";
import { inNetworkNamespace } from "../../runtime/network/namespace.ts";
import { Netns } from "../harness/network.ts";
import { BareGuest } from "./bare-guest.ts";
import type { By, Figures } from "./figures.ts";
import type { Starts } from "./starts.ts";
import type { Workspace } from "./workspace.ts";

/** What goes each way in a run. */
const STREAM_MIB = 64;
const MIB = 1024 * 1024;
const PINGS = 20;
/** From 198.18.0.0/15, which is for measurements (RFC 2544). */
const HOST = "198.18.0.1";
const GUEST = "198.18.0.2";
const SINK_PORT = 5001;
const SOURCE_PORT = 5002;
const READY_TRIES = 100;
/** The limit of a command; a guest that does not answer for so long hangs. */
const LIMIT_SECONDS = 60;
/** Taken by both guests, so that the programs are the same. */
const BLOCK_KIB = 64;
const COUNT = (STREAM_MIB * 1024) / BLOCK_KIB;
const SINK = `dd of=/dev/null bs=${BLOCK_KIB}k count=${COUNT} iflag=fullblock 2>/dev/null; echo done`;
const SOURCE = `dd if=/dev/zero bs=${BLOCK_KIB}k count=${COUNT} 2>/dev/null`;
const SERVERS = [`nc -ll -p ${SINK_PORT} -e sh -c '${SINK}'`, `nc -ll -p ${SOURCE_PORT} -e sh -c '${SOURCE}'`] as const;

/**
 * TCP streams and round trips between the host and a guest, in a network namespace in the host's place: of a container,
 * whose veth leads to the host, and of a bare guest with the host at the other end of its tap.
 */
export async function measureNetwork(
  starts: Starts,
  rootfs: string,
  workspace: Workspace,
  figures: Figures,
  runs: number,
  signal: AbortSignal,
): Promise<void> {
  await measureContainer(starts, rootfs, figures, runs);
  await measureBare(starts, workspace, figures, runs, signal);
}

async function measureContainer(starts: Starts, rootfs: string, figures: Figures, runs: number): Promise<void> {
  using host = new Netns();
  using inside = new Netns();
  host.veth("eth0", inside, "eth0");
  host.ip(`addr add ${HOST}/24 dev eth0`);
  inside.ip(`addr add ${GUEST}/24 dev eth0`);
  const command = ["sh", "-c", `${SERVERS[0]} & exec ${SERVERS[1]}`];
  const bundle = starts.caisson.bundle("network", rootfs, command, (spec) => inNamespace(spec, inside.path));
  const { id } = await starts.caisson.start(bundle);
  try {
    await timeNetwork(host, "caisson", figures, runs);
  } finally {
    await starts.caisson.remove(id);
  }
}

async function measureBare(
  { vm }: Starts,
  workspace: Workspace,
  figures: Figures,
  runs: number,
  signal: AbortSignal,
): Promise<void> {
  using host = new Netns();
  const tap = inNetworkNamespace(host.path, () => openTap("bare%d"));
  try {
    host.ip(`addr add ${HOST}/24 dev ${tap.name}
             link set ${tap.name} up`);
    await using bare = await BareGuest.boot(vm, workspace, signal, [{ tapFd: tap.fd }]);
    const setUp = `ip addr add ${GUEST}/24 dev eth0; ip link set eth0 up`;
    await bare.shell.run(
      `${setUp}; for each in 1; do ${SERVERS.map((server) => `${server} </dev/null >/dev/null &`).join(" ")} done`,
    );
    await timeNetwork(host, "bare", figures, runs);
  } finally {
    closeSync(tap.fd);
  }
}

async function timeNetwork(host: Netns, by: By, figures: Figures, runs: number): Promise<void> {
  for (let tries = 0; (await receive(host)) < STREAM_MIB * MIB; tries++) {
    if (tries === READY_TRIES) throw new Error(`The guest's server (${by}) does not answer.`);
  }
  for (let run = 0; run < runs; run++) {
    figures.add("net-in", by, STREAM_MIB / (await seconds(() => send(host))));
    figures.add("net-out", by, STREAM_MIB / (await seconds(() => receive(host))));
    figures.add("ping", by, await ping(host));
  }
}

async function send(host: Netns): Promise<void> {
  const answer = await shell(
    host,
    `head -c ${STREAM_MIB * MIB} /dev/zero | busybox nc -w ${LIMIT_SECONDS} ${GUEST} ${SINK_PORT}`,
  );
  if (answer !== "done\n") throw new Error(`The guest has not taken all: ${answer}`);
}

/** @returns how many bytes have come. */
async function receive(host: Netns): Promise<number> {
  return Number(await shell(host, `busybox nc -w 5 ${GUEST} ${SOURCE_PORT} </dev/null | wc -c`));
}

/** @returns a round trip's milliseconds, the mean of PINGS. */
async function ping(host: Netns): Promise<number> {
  const text = await shell(host, `busybox ping -q -c ${PINGS} -i 0.05 ${GUEST}`);
  const [, mean] = /min\/avg\/max = [\d.]+\/([\d.]+)\//.exec(text) ?? [];
  if (mean === undefined) throw new Error(`The guest does not answer pings: ${text}`);
  return Number(mean);
}

async function shell(host: Netns, script: string): Promise<string> {
  return (await host.run("sh", "-c", script)).stdout;
}

async function seconds(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}

function inNamespace(spec: Spec, path: string): void {
  const others = spec.linux?.namespaces?.filter(({ type }) => type !== "network") ?? [];
  spec.linux = { ...spec.linux, namespaces: [...others, { type: "network", path }] };
}
