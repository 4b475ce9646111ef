import type { Command } from "commander";
import { checkTerminal } from "./caller.ts";
import type { Globals } from "./command.ts";
import { checkFlags, createContainer, type LaunchFlags, launchVerb } from "./launch.ts";
import { readWantsTerminal } from "./wants-terminal.ts";

export function command(globals: Globals): Command {
  return launchVerb("create", "Creates a container, whose process waits for `caisson start`.").action(
    async (id: string, flags: LaunchFlags) => {
      checkFlags(flags);
      checkTerminal(readWantsTerminal(flags.bundle), true, flags.consoleSocket);
      const daemon = await createContainer(globals, id, flags, { name: "create" });
      await daemon.client.request("detach", {});
      daemon.client.close();
      daemon.unref();
    },
  );
}
