import type { Command } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import { verb } from "./command.ts";

export function command(): Command {
  return refused("checkpoint");
}

/** `checkpoint` and `restore`, whatever they are called with. */
export function refused(name: string): Command {
  return verb(name, "Not possible: QEMU does not save a VM while a directory of the host is mounted in it.")
    .argument("[arguments...]")
    .allowUnknownOption()
    .action(() => {
      throw new CaissonError(
        "CAISSON_E_USAGE",
        `${name} is not supported: QEMU does not save a VM while a directory of the host is mounted in it`,
        { remedy: "Stop the container and start it again; a start takes well under a second." },
      );
    });
}
