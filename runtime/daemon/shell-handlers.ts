import type { Socket } from "node:net";
import { constants } from "node:os";
import { CaissonError } from "../../protocol/errors.ts";
import { loadSettings } from "../config/load.ts";
import type { ShellParams } from "../control/protocol.ts";
import { type ContainerHandlers, endOf } from "../control/server.ts";
import type { GuestProcess } from "../guest/process.ts";
import type { Guest } from "../sandbox/guest.ts";
import { log } from "../text/log.ts";
import { clientIo, closeIo } from "./client-io.ts";
import { toExitStatus } from "./loss.ts";

/** Where a shell finds the guest image's programs. */
const PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";

type ShellHandlers = Pick<ContainerHandlers, "shell" | "waitShell" | "resizeShell" | "killShell">;

/** What the verbs about shells in the guest do. @param find throws while there is no guest. */
export function shellHandlers(find: () => Promise<Guest>): ShellHandlers {
  return {
    shell: async (params, connection) => ({ shellId: await start(await find(), params, connection) }),
    waitShell: async ({ shellId }) => {
      const { shells } = await find();
      return toExitStatus("the shell", await shells.get(shellId).exit);
    },
    resizeShell: async ({ shellId, ...size }) => (await find()).shells.resize(shellId, size),
    killShell: async ({ shellId, signal }) => (await find()).shells.kill(shellId, signal),
  };
}

/** The shell ends with its client, which ends the connection. */
async function start({ id, shells }: Guest, params: ShellParams, connection: Socket): Promise<string> {
  const { config, args, env, stdio, window } = params;
  if (loadSettings(config).guestShell !== "on") {
    throw new CaissonError("CAISSON_E_SETTINGS", "shells in guests are not allowed: guest_shell is off", {
      field: "guest_shell",
      remedy: `set guest_shell = "on" in the settings of this host`,
    });
  }
  log.warning(`a shell is opened in the guest of sandbox ${id}`);
  const terminal = window !== undefined;
  const io = clientIo(stdio, terminal);
  let shell: GuestProcess;
  try {
    shell = await shells.start({ args, env: [PATH, "HOME=/root", ...env], cwd: "/", terminal }, io, window);
  } catch (error) {
    closeIo(io);
    throw error;
  }
  const { execId } = shell.id;
  const left = endOf(connection);
  void left.then(async () => {
    if (!shell.ended) await shells.kill(execId, constants.signals.SIGKILL).catch(() => {});
  });
  void Promise.all([left, shell.exit]).then(() => shells.forget(execId));
  return execId;
}
