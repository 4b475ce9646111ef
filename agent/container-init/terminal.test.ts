import assert from "node:assert/strict";
import { closeSync } from "node:fs";
import { test } from "node:test";
import { recvFd, socketpair } from "../../native/posix/index.ts";
import { PollStream } from "../../native/vsock/index.ts";
import type { Spec } from "../../protocol/oci.ts";
import {
  configOf,
  createInput,
  DEVPTS,
  failure,
  NEEDS_ROOT,
  Rootfs,
  started,
  Trial,
} from "../../test/harness/agent/trial.ts";
import { compileCreate, compileExec } from "../plan/plan.ts";
import type { Plan } from "./steps.ts";

const options = { skip: NEEDS_ROOT };

/** All that a plan's process writes to its terminal. */
async function screen(plan: Plan): Promise<{ text: string; stdout: string }> {
  const [ours, theirs] = socketpair();
  await using trial = new Trial(plan, theirs);
  closeSync(theirs);
  const first = await trial.next();
  assert.ok(first?.type === "reached" || first?.type === "started", JSON.stringify(first));
  const { fd } = recvFd(ours);
  closeSync(ours);
  if (first.type === "reached") trial.proceed();
  // The master is in non-blocking mode, so a stream of files cannot read it; its end is EIO.
  let text = "";
  const master = new PollStream({ fd });
  const read = new Promise<void>((resolve) => master.once("close", resolve));
  master.on("data", (data: Buffer) => {
    text += data.toString();
  });
  master.on("error", () => {});
  const { stdout, exit } = await trial.finish();
  assert.equal(exit?.exitCode, 0);
  await read;
  return { text, stdout };
}

function withTerminal(script: string): Spec {
  return configOf(script, { mounts: [DEVPTS], process: { terminal: true } });
}

const SCRIPT =
  "tty; stty size; stat -c %t /dev/console; cat < /dev/tty > /dev/null & ps -o pid,tty | grep -c 136,0; sync";

test("a terminal is the process's stdio, its controlling terminal and /dev/console, in its size", options, async () => {
  using rootfs = new Rootfs();
  const plan = compileCreate({ ...createInput(withTerminal(SCRIPT), rootfs.path), rows: 33, columns: 99 });
  const { text, stdout } = await screen(plan);
  assert.equal(stdout, "");
  assert.deepEqual(text.split("\r\n").slice(0, 3), ["/dev/pts/0", "33 99", "88"]);
  assert.match(text, /\r\n[1-9]\d*\r\n$/);
});

test("a terminal of an added process is another one", options, async () => {
  using rootfs = new Rootfs();
  const config = configOf("", { mounts: [DEVPTS], process: { args: ["sleep", "1000"] } });
  const { trial, pid } = await started(rootfs, config);
  await using _ = trial;
  const process = {
    cwd: "/",
    args: ["sh", "-c", "tty; stty size; id -u"],
    env: ["PATH=/bin"],
    terminal: true,
    user: { uid: 3, gid: 3 },
  };
  const { text } = await screen(compileExec({ process, config, initPid: pid, cgroupPath: "", rows: 11, columns: 22 }));
  assert.deepEqual(text.split("\r\n"), ["/dev/pts/0", "11 22", "3", ""]);
});

test("a terminal without devpts is a failure that says so", options, async () => {
  using rootfs = new Rootfs();
  assert.equal(
    await failure(rootfs, { process: { terminal: true } }),
    `CAISSON_E_PROCESS_SETUP process.terminal "/dev/pts/ptmx": opening the terminal failed: no such file or directory (ENOENT)`,
  );
  rootfs.file("fake/ptmx", "");
  const mounts = [{ destination: "/dev/pts", type: "bind", source: `${rootfs.path}/fake`, options: ["rbind"] }];
  assert.match(await failure(rootfs, { process: { terminal: true }, mounts }), /\(ENOTTY\)/);
});
