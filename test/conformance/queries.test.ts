/** What asks about a container, while it runs and when it has stopped, beside runc: one container in each. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { until } from "../harness/host.ts";
import { Pair, runcMissing } from "./pair.ts";

const skip = runcMissing() ?? false;
const pair = new Pair();
after(() => pair[Symbol.asyncDispose]());

/** A column of pids is as wide as the largest there may be, of which the guest's kernel has its own idea (ps(1)). */
const words = (text = "") => text.trim().split(/ +/);

test("ps, state, list and kill answer as runc, also of a stopped container", { skip }, async () => {
  using bundle = new Bundle(["sleep", "1000"]);
  bundle.spec.annotations = { "org.example.key": "value" };
  const id = await pair.start(bundle);

  for (const options of [[], ["-ef"], ["-e"], ["-e", "-x"], ["ax"], ["aux"], ["-o", "pid,stat,args"], ["-f"]]) {
    const { caisson, runc } = await pair.run(["ps", id, ...options]);
    const [header, line] = caisson.stdout.split("\n");
    const [runcs, runcsLine] = runc.stdout.split("\n");
    assert.deepEqual(words(header), words(runcs), options.join(" "));
    // `e` shows the environment there, which is nobody's business here.
    if (options.includes("-x")) assert.doesNotMatch(line ?? "", /PATH=/);
    // The process's state is that of a session's leader, at whatever priority the tests run (ps(1)).
    assert.equal(/ S[<N]?s /.test(line ?? ""), / S[<N]?s /.test(runcsLine ?? ""), line);
  }
  for (const args of [
    ["state", id],
    ["list", "--format", "json"],
  ]) {
    const { caisson, runc } = await pair.run(args);
    const keys = ({ stdout }: { stdout: string }) => stdout.match(/"\w+":/g);
    assert.deepEqual(keys(caisson), keys(runc), args.join(" "));
  }
  assert.equal(JSON.parse((await pair.run(["state", id])).caisson.stdout).owner, "");

  await pair.run(["kill", id, "KILL"]);
  const stopped = (text: string) => JSON.parse(text).status === "stopped";
  await until(async () => {
    const { caisson, runc } = await pair.run(["state", id]);
    return stopped(caisson.stdout) && stopped(runc.stdout);
  });
  for (const args of [
    ["ps", id],
    ["ps", "--format", "json", id],
    ["kill", "--all", id, "0"],
    ["kill", "--all", id, "KILL"],
    ["kill", id, "0"],
  ]) {
    const { caisson, runc } = await pair.run(args);
    assert.deepEqual(
      { exitCode: caisson.exitCode, stdout: words(caisson.stdout) },
      { exitCode: runc.exitCode, stdout: words(runc.stdout) },
      args.join(" "),
    );
  }
});
