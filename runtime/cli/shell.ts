import { isatty } from "node:tty";
import type { Command } from "commander";
import { type ControlClient, connectControl } from "../control/client.ts";
import { tellLoss } from "../daemon/loss.ts";
import { findSandbox, knownSandboxes } from "../exporter/sandboxes.ts";
import { onForwardedSignals } from "../process/forwarded-signals.ts";
import { log } from "../text/log.ts";
import { type Globals, verb } from "./command.ts";
import { ownStdio } from "./execution.ts";
import { OwnTerminal } from "./terminal.ts";

const STDIN = 0;
const SHELL = ["/bin/sh"];

export function command({ root, config }: Globals): Command {
  return verb("shell", "Opens a shell in the guest, outside of its containers, where the settings allow it.")
    .argument("<id>", "a container's or a sandbox's id, or the first 8 characters of an engine's")
    .argument("[command...]", "what to run in place of a shell")
    .passThroughOptions()
    .action(async (id: string, args: string[]) => {
      const sandboxes = knownSandboxes(root, (reason) => log.warning(reason));
      using client = await connectControl(findSandbox(sandboxes, id).directory);
      process.exitCode = await runShell(client, args.length > 0 ? args : SHELL, config);
    });
}

/** With our terminal, if we have one. */
async function runShell(client: ControlClient, args: string[], config: string | undefined): Promise<number> {
  using terminal = isatty(STDIN) ? new OwnTerminal() : undefined;
  const term = process.env["TERM"];
  const env = terminal === undefined || term === undefined ? [] : [`TERM=${term}`];
  terminal?.makeRaw();
  const { shellId } = await client.request("shell", { config, args, env, stdio: ownStdio(), window: terminal?.mode });
  const resize = () => {
    if (terminal !== undefined) client.request("resizeShell", { shellId, ...terminal.size }).catch(() => {});
  };
  process.on("SIGWINCH", resize);
  using _signals = onForwardedSignals((signal) => {
    client.request("killShell", { shellId, signal }).catch(() => {});
  });
  try {
    resize();
    const { exitCode, reason } = await client.request("waitShell", { shellId });
    if (reason !== undefined) tellLoss(reason);
    return exitCode;
  } finally {
    process.removeListener("SIGWINCH", resize);
  }
}
