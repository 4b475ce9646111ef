/** A QEMU's monitor without a QEMU. */
import { Socket } from "node:net";
import { createInterface } from "node:readline";
import { socketpair } from "../../native/posix/index.ts";
import { QmpClient } from "../../runtime/vm/qmp.ts";
import type { MachineType } from "../../runtime/vm/spec.ts";

export interface Command {
  execute: string;
  arguments: Record<string, unknown>;
  id: number;
}

/** A QEMU that says yes to every command, but for those that `refuse` has a sentence for. */
export class Monitor implements Disposable {
  readonly qmp: QmpClient;
  readonly machine: MachineType;
  readonly commands: Command[] = [];
  readonly #socket: Socket;

  constructor(refuse: (command: Command) => string | undefined = () => undefined, machine: MachineType = "q35") {
    this.machine = machine;
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
