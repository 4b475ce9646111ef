import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { detached, PROGRAM, until } from "../harness/host.ts";
import { ConsoleSocket, Terminal } from "../harness/terminal.ts";
import { Pair, runcMissing } from "./pair.ts";

const options = { skip: runcMissing() };

function terminalBundle(...args: string[]): Bundle {
  const bundle = new Bundle(args);
  bundle.process.terminal = true;
  return bundle.write();
}

/** All that comes out of the redirected stdout (Terminal.start), once the program has ended. */
async function output(child: ChildProcess): Promise<string> {
  let text = "";
  const readable = child.stdio[4] as Readable | null;
  readable?.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  return `${text}<${code}>`;
}

test("a terminal whose holder dies hangs the container up", options, async () => {
  await using pair = new Pair();
  using bundle = terminalBundle("sh");
  const id = pair.id();
  const runs = {
    caisson: (args: string[]) => detached(pair.host, args),
    runc: async (args: string[]) => void (await pair.runc(args, "", true)),
  };
  for (const run of Object.values(runs)) {
    using socket = new ConsoleSocket();
    await run(["run", "--detach", "--console-socket", socket.path, "--bundle", bundle.directory, id]);
    using screen = await socket.screen;
    await screen.shows(/# /);
  }
  const status = async () => {
    const { caisson, runc } = await pair.run(["state", id]);
    return [caisson, runc].map(({ stdout }) => JSON.parse(stdout).status as string);
  };
  await until(async () => (await status()).every((each) => each === "stopped"));
  const listed = await pair.run(["ps", id]);
  assert.equal(listed.caisson.exitCode, listed.runc.exitCode);
  const deleted = await pair.run(["delete", id]);
  assert.deepEqual([deleted.caisson.exitCode, deleted.runc.exitCode], [0, 0]);
  assert.deepEqual(await pair.host.remains(), []);
});

test("the holder of an added process's terminal dies", async () => {
  await using pair = new Pair();
  using bundle = new Bundle();
  const id = await pair.host.start(bundle);
  {
    using socket = new ConsoleSocket();
    await detached(pair.host, ["exec", "--tty", "--detach", "--console-socket", socket.path, id, "sh"]);
    using screen = await socket.screen;
    await screen.shows(/# /);
    assert.equal((await pair.host.pids(id)).length, 2);
  }
  await until(async () => (await pair.host.pids(id)).length === 1);
  await pair.host.ok(["delete", "--force", id]);
});

/** Where there is a terminal but not on all streams; what comes out of the redirected ones. */
const REDIRECTIONS = [
  ["stdout", "stderr"],
  ["stdin", "stdout"],
  ["stdin", "stdout", "stderr"],
] as const;

/** runc gives the terminal its size once the program runs. */
const SIZED =
  "until stty size 2>/dev/null | grep -q 33; do sleep 0.1; done; stty size; read line; echo got $line; exit 3";

for (const redirected of REDIRECTIONS) {
  test(`a container's terminal with ${redirected.join(", ")} redirected`, options, async () => {
    await using pair = new Pair();
    using bundle = terminalBundle("sh", "-c", SIZED);
    const id = pair.id();
    const runtimes = { caisson: [PROGRAM, "--root", pair.host.root], runc: pair.runcCommand };
    const said: Record<string, string> = {};
    for (const [name, command] of Object.entries(runtimes)) {
      using terminal = new Terminal();
      terminal.screen.resize(33, 101);
      const child = terminal.start([...command, "run", "--bundle", bundle.directory, id], redirected);
      (child.stdio[3] as Writable | null)?.write("typed\n");
      if (!(redirected as readonly string[]).includes("stdin")) terminal.screen.type("typed\n");
      said[name] = await output(child);
    }
    assert.match(said["runc"] ?? "", /33 101\n[^\r]*got typed\n<3>$/);
    // What is typed ahead is echoed when the terminal gets it, before or after the first line.
    const lines = (text = "") => text.split("\n").sort();
    assert.deepEqual(lines(said["caisson"]), lines(said["runc"]));
  });
}
