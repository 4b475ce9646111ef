import { type Command, InvalidArgumentError } from "commander";
import type { ExecFlags } from "../control/exec-words.ts";
import { collect, type Globals, verb } from "./command.ts";
import { exec } from "./exec-action.ts";

export function command(globals: Globals): Command {
  return verb("exec", "Runs one more process in a container and returns its exit status.")
    .argument("<container-id>")
    .argument("[command...]", "the command and its arguments; none with --process")
    .option("-p, --process <file>", "an OCI process object as JSON")
    .option("-t, --tty", "give it a terminal")
    .option("-u, --user <uid[:gid]>", "run as this user and group")
    .option("-g, --additional-gids <gid>", "one more group; may be given again", gid)
    .option("-e, --env <NAME=value>", "set a variable; may be given again", collect)
    .option("--cwd <directory>", "working directory in the container")
    .option("-c, --cap <name>", "one more capability; may be given again", collect)
    .option("--no-new-privs", "forbid it to gain privileges by execve(2)")
    .option("-d, --detach", "leave it running in the background")
    .option("--console-socket <path>", "Unix socket that is sent the terminal's master")
    .option("--pid-file <file>", "write a pid here that lives as long as the process and passes signals on")
    .option("--pidfd-socket <path>", "Unix socket that is sent a pidfd of that process")
    .option("--ignore-paused", "allow it in a paused container; it runs when the container is resumed")
    .option("--preserve-fds <n>", "only 0: a file descriptor cannot cross into a VM", "0")
    .option("--process-label <label>", "refused: the guest's kernel runs without SELinux")
    .option("--apparmor <profile>", "refused: the guest's kernel runs without AppArmor")
    .option("--cgroup <path>", "start it in this cgroup below the container's, which must exist")
    .passThroughOptions()
    .action((id: string, args: string[], flags: ExecFlags) => exec(globals, id, args, flags));
}

function gid(text: string, values: readonly number[] = []): number[] {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number >= 2 ** 32 - 1) throw new InvalidArgumentError("It is not a group's number.");
  return [...values, number];
}
