import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { Socket } from "node:net";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { socketpair } from "../../native/posix/index.ts";
import { plugDisk, unplugDisk } from "./disk-device.ts";
import { QmpClient, QmpError } from "./qmp.ts";

interface Command {
  execute: string;
  arguments: Record<string, unknown>;
  id: number;
}

/** A QEMU that says yes to every command, but for those that `refuse` has a sentence for. */
class Monitor implements Disposable {
  readonly qmp: QmpClient;
  readonly machine = "q35" as const;
  readonly commands: Command[] = [];
  readonly #socket: Socket;

  constructor(refuse: (command: Command) => string | undefined = () => undefined) {
    const [ours, theirs] = socketpair();
    this.qmp = new QmpClient(ours, { onEvent() {}, onClose() {}, greeted: true });
    this.#socket = new Socket({ fd: theirs, readable: true, writable: true });
    createInterface({ input: this.#socket }).on("line", (line) => {
      const command = JSON.parse(line) as Command;
      this.commands.push(command);
      const desc = refuse(command);
      this.#say(
        desc === undefined
          ? { return: {}, id: command.id }
          : { error: { class: "GenericError", desc }, id: command.id },
      );
      if (command.execute === "device_del")
        this.#say({ event: "DEVICE_DELETED", data: { device: command.arguments["id"] } });
    });
  }

  get names(): string[] {
    return this.commands.map(({ execute }) => execute);
  }

  #say(message: unknown): void {
    this.#socket.write(`${JSON.stringify(message)}\n`);
  }

  [Symbol.dispose](): void {
    this.qmp.close();
    this.#socket.destroy();
  }
}

const backend = (fd: number) => ({ fd, readOnly: true, isDevice: false, sectorBytes: 512 });

test("plugDisk gives a disk on a descriptor, and unplugDisk takes all of it back", async () => {
  using monitor = new Monitor();
  const fd = openSync("/dev/null", "r");
  await plugDisk(monitor, 3, backend(fd));
  closeSync(fd);
  const [set, block, device] = monitor.commands.map((command) => command.arguments);
  assert.deepEqual(set, { "fdset-id": 19 });
  const { driver, filename, discard } = block ?? {};
  assert.deepEqual([driver, filename, block?.["read-only"], discard], ["file", "/dev/fdset/19", true, "ignore"]);
  assert.deepEqual([device?.["bus"], device?.["scsi-id"], device?.["drive"]], ["disks.0", 3, block?.["node-name"]]);
  await unplugDisk(monitor, 3, AbortSignal.timeout(10_000));
  assert.deepEqual(monitor.names.slice(3), ["device_del", "blockdev-del", "remove-fd"]);
});

test("plugDisk leaves nothing of a disk that QEMU refuses, and says why", async () => {
  const reasons: Record<string, string> = {
    "blockdev-add": "Could not open '/dev/fdset/19'",
    device_add: "Property 'scsi-hd.drive' can't find value 'disk3'",
    "blockdev-del": "Failed to find node with node-name='disk3'",
  };
  using monitor = new Monitor(({ execute }) => reasons[execute]);
  const fd = openSync("/dev/null", "r");
  await assert.rejects(plugDisk(monitor, 3, backend(fd)), (error) => {
    assert.ok(error instanceof QmpError);
    assert.match(error.message, /blockdev-add.*Could not open/);
    return true;
  });
  closeSync(fd);
  assert.deepEqual(monitor.names.slice(3), ["blockdev-del", "remove-fd"]);
});
