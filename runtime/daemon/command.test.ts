import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { CaissonError } from "../../protocol/errors.ts";
import type { CommandOutcome } from "../control/protocol.ts";
import { defaultSpec } from "../oci/default-spec.ts";
import type { PodContainer } from "../sandbox/pod-container.ts";
import { type Carriers, carryOut } from "./command.ts";

const bundle = mkdtempSync(join(tmpdir(), "caisson-command-"));
writeFileSync(join(bundle, "config.json"), JSON.stringify(defaultSpec()));
after(() => rmSync(bundle, { recursive: true }));

/** What is asked of a container, and how that ends. */
async function carriedOut(
  line: string,
  { lifecycle = "running", of = bundle, text }: { lifecycle?: string; of?: string; text?: string } = {},
): Promise<{ outcome: CommandOutcome; asked: [verb: string, params: unknown][] }> {
  const asked: [string, unknown][] = [];
  const note = (verb: string) => async (params: unknown) => {
    asked.push([verb, params]);
    return { execId: "exec-1", pid: 2 };
  };
  const verbs = Object.fromEntries(["exec", "kill", "pause", "resume", "start"].map((verb) => [verb, note(verb)]));
  const container = { bundle: of, container: { id: "c1", lifecycle } } as unknown as PodContainer;
  const params = { args: line.split(" "), pid: 7, process: text };
  const outcome = await carryOut(container, verbs as unknown as Carriers, params, new Socket());
  return { outcome, asked };
}

test("carryOut() does what the verb would", async () => {
  for (const [line, verb, params] of [
    ["kill c1", "kill", { signal: 15, all: false }],
    ["--log /l --root=/r kill --all c1 HUP", "kill", { signal: 1, all: true }],
    ["pause c1", "pause", {}],
  ] as const) {
    assert.deepEqual(await carriedOut(line), { outcome: {}, asked: [[verb, params]] }, line);
  }
  assert.deepEqual((await carriedOut("start c1", { lifecycle: "created" })).asked, [["start", {}]]);
  assert.deepEqual((await carriedOut("resume c1", { lifecycle: "paused" })).asked, [["resume", {}]]);
});

test("carryOut() starts a process as the bundle's configuration and the flags say", async () => {
  const { outcome, asked } = await carriedOut("exec -e A=b --cwd /tmp -u 1:2 c1 ls -t");
  assert.deepEqual(outcome, { execId: "exec-1" });
  const [[verb, params] = ["", {}]] = asked;
  const { process, stdio } = params as { process: object; stdio: object };
  assert.deepEqual({ verb, stdio }, { verb: "exec", stdio: { pid: 7, stdin: 0, stdout: 1, stderr: 2 } });
  const { args, env, cwd, user, terminal } = process as ReturnType<typeof defaultSpec>["process"] & object;
  assert.deepEqual(
    { args, cwd, user, terminal },
    { args: ["ls", "-t"], cwd: "/tmp", user: { uid: 1, gid: 2 }, terminal: false },
  );
  assert.equal(env?.at(-1), "A=b");
});

test("carryOut() starts the process of a file, and leaves one that nobody waits for to itself", async () => {
  const text = JSON.stringify({ args: ["sh", "-c", "exit"], cwd: "/", env: ["A=b"] });
  const named = await carriedOut("exec -d --process p --pid-file f -e C=d c1", { text });
  assert.deepEqual(named.outcome, { execId: "exec-1" });
  const process = { args: ["sh", "-c", "exit"], cwd: "/", env: ["A=b", "C=d"] };
  const stdio = { pid: 7, stdin: 0, stdout: 1, stderr: 2 };
  assert.deepEqual(named.asked, [["exec", { process, stdio, detached: false }]]);
  const left = await carriedOut("exec --detach -p p c1", { text });
  assert.deepEqual(left.outcome, {});
  assert.deepEqual(left.asked, [["exec", { process: { ...process, env: ["A=b"] }, stdio, detached: true }]]);
  for (const [line, wrong] of [
    ["exec -p p c1 sh", text],
    ["exec -p p c1", undefined],
    ["exec c1 sh", text],
    ["exec -p p c1", "{"],
    ["exec -p p c1", JSON.stringify({ args: ["sh"], cwd: "/", terminal: true })],
    ["exec -p p c1", JSON.stringify({ args: ["\ufffd"], cwd: "/" })],
    ["exec -d -p p --console-socket s c1", text],
  ] as const) {
    await assert.rejects(carriedOut(line, wrong === undefined ? {} : { text: wrong }), CaissonError, line);
  }
});

test("carryOut() says in the outcome what the container's state does not allow", async () => {
  for (const [line, lifecycle, message] of [
    ["kill c1", "stopped", "container not running"],
    ["start c1", "running", "cannot start an already running container"],
    ["pause c1", "paused", "container already paused"],
    ["resume c1", "running", "container not paused"],
  ] as const) {
    const { outcome, asked } = await carriedOut(line, { lifecycle });
    assert.deepEqual([(outcome as { error: CaissonError }).error.message, asked], [message, []], line);
  }
  assert.deepEqual(await carriedOut("kill --all c1", { lifecycle: "stopped" }), { outcome: {}, asked: [] });
});

test("carryOut() leaves to the command line what is not plain, is another's, or would be told to its log", async () => {
  const labelled = mkdtempSync(join(bundle, "labelled-"));
  const { process } = defaultSpec();
  writeFileSync(
    join(labelled, "config.json"),
    JSON.stringify({ process: { ...process, apparmorProfile: "docker-default" } }),
  );
  for (const [line, of] of [
    ...["--debug kill c1", "--trace /t kill c1", "kill c2", "kill c1 NOPE", "kill c1 9 9", "state c1", "delete c1"].map(
      (each) => [each],
    ),
    ...["exec c1", "exec c2 true", "exec -t c1 sh", "exec -p /p c1"].map((each) => [each]),
    ...["exec -u bob c1 sh", "exec -e A c1 sh", "exec --cwd x c1 sh"].map((each) => [each]),
    ["exec c1 true", "/none"],
    ["exec c1 true", labelled],
  ] as [string, string?][]) {
    await assert.rejects(carriedOut(line, of === undefined ? {} : { of }), CaissonError, line);
  }
});
