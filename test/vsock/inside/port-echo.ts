/** Runs in the outer VM: echoes on a virtio-serial port, one connection after another, and says what waiting cost. */
import { once } from "node:events";
import { constants, openSync, readdirSync, readFileSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { discardUntilHungUp, PollStream } from "../../../native/vsock/index.ts";

const [name, connections] = process.argv.slice(2);
const folder = "/sys/class/virtio-ports";
const port = readdirSync(folder).find((each) => readFileSync(`${folder}/${each}/name`, "utf8").trim() === name);
if (port === undefined) throw new Error(`there is no virtio-serial port ${name}`);
const fd = openSync(`/dev/${port}`, constants.O_RDWR | constants.O_NONBLOCK);

for (let i = 0; i < Number(connections); i++) {
  const started = performance.now();
  const before = process.cpuUsage();
  if (i > 0) await discardUntilHungUp(fd);
  const stream = new PollStream({ fd, keepOpen: true, awaitHost: true });
  // Waits for the host, which knows by it that the connection before this one is over here, too.
  await new Promise((resolve) => stream.write("ready\n", resolve));
  const { user, system } = process.cpuUsage(before);
  const cpuMs = Math.round((user + system) / 1000);
  await pipeline(stream, stream).catch((error: Error) => console.log(`pipeline: ${error.message}`));
  if (!stream.closed) await once(stream, "close");
  console.log(JSON.stringify({ waitedMs: Math.round(performance.now() - started), cpuMs, bytes: stream.bytesRead }));
}
