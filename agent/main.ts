import { GUEST_RUN } from "../protocol/guest-contract.ts";
import { closeRootDisk } from "./cgroups/root-disk.ts";
import { tellUnhandled } from "./last-words.ts";
import { log } from "./log.ts";
import type { AgentPaths } from "./paths.ts";
import { Sandbox } from "./sandbox/sandbox.ts";
import { openStreamPort, openStreamSocket, serveUnix, serveVirtioPort, serveVsock } from "./server/listen.ts";
import { createServer } from "./server/server.ts";
import { StreamPorts } from "./server/stream-ports.ts";
import { serveVsockStreams, vsockStream } from "./server/vsock-streams.ts";

/** The guest image's paths; tests override them, and listen on a Unix socket instead of the VM's devices. */
const options: AgentPaths & { listen: string } = {
  cgroupRoot: "/sys/fs/cgroup",
  runDirectory: GUEST_RUN,
  containerInit: "/usr/lib/caisson/container-init",
  listen: "",
};

tellUnhandled();

for (const argument of process.argv.slice(2)) {
  const [, name = "", value = ""] = /^--([^=]+)=(.*)$/.exec(argument) ?? [];
  if (!(name in options)) throw new Error(`unknown argument ${argument}; there are ${Object.keys(options)}`);
  options[name as keyof typeof options] = value;
}

const { listen } = options;
// The root's disk is closed by a filter for devices, before whose first the kernel reads the descriptions of all its types: 100 million
// instructions, which the agent's first answer need not wait for.
const sandbox = new Sandbox(options, listen === "" ? () => closeRootDisk(options.cgroupRoot) : undefined);
const ports = new StreamPorts((number) => {
  if (listen !== "") return openStreamSocket(listen, number);
  return vsockStream(number) ?? openStreamPort(number);
});
const server = createServer(sandbox, ports);
if (listen !== "") serveUnix(server, listen);
else serveDevices();

async function serveDevices(): Promise<void> {
  const vsock = serveVsock(server) && serveVsockStreams();
  if ((await serveVirtioPort(server)) || vsock) return;
  log("error", "the VM has neither a vsock device nor a virtio-serial port for the agent");
  process.exit(1);
}
