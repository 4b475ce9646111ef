import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { builtFile } from "../addon.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-client-"));
const script = join(folder, "program.cjs");
// What the command line is started with when the launcher leaves a command to it.
writeFileSync(script, "console.log(JSON.stringify(process.argv.slice(2)));");
mkdirSync(join(folder, "c1"));
after(() => rmSync(folder, { recursive: true }));

interface Asked {
  id: number;
  verb: string;
  params: { args?: string[]; pid?: number; process?: string; execId?: string; signal?: number };
}

/** A daemon that answers as it is told to, and keeps what it was asked. */
class Daemon implements AsyncDisposable {
  readonly asked: Asked[] = [];
  readonly #server: Server;
  /** @param answer gives the line; undefined ends the connection. */
  constructor(answer: (asked: Asked, client: Socket) => string | undefined) {
    this.#server = createServer((client) => {
      let text = "";
      client.on("error", () => {});
      client.setEncoding("utf8").on("data", (more) => {
        text += more;
        for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
          const asked = JSON.parse(text.slice(0, end)) as Asked;
          text = text.slice(end + 1);
          this.asked.push(asked);
          const line = answer(asked, client);
          if (line === undefined) client.end();
          else if (line !== "") client.write(`${line}\n`);
        }
      });
    });
  }
  async listen(root = folder): Promise<this> {
    this.#server.listen(join(root, "c1/control.sock"));
    await once(this.#server, "listening");
    return this;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await once(this.#server, "close");
  }
}

function start(node: string, ...words: (string | Buffer)[]): ChildProcess {
  return spawn(builtFile("launch"), [node, script, "caisson", ...(words as string[])], { cwd: folder });
}

async function ended(child: ChildProcess): Promise<{ status: number; node: string[] | undefined }> {
  let stdout = "";
  child.stdout?.on("data", (text) => {
    stdout += text;
  });
  const [status, signal] = await once(child, "close");
  return { status: status ?? signal, node: stdout === "" ? undefined : JSON.parse(stdout) };
}

const launch = (...words: string[]) => ended(start(process.execPath, ...words));
const DONE = '{"id":1,"result":{}}';
const STARTED = '{"id":1,"result":{"execId":"exec-12"}}';
const ROOT = ["--root", folder];

test("launch has a daemon carry a command out, and no Node.js is started", async () => {
  await using daemon = await new Daemon(() => DONE).listen();
  const words = ["--log", "l", "--log-format=json", `--root=${folder}`, "--systemd-cgroup", "kill", "-a", "c1", "TERM"];
  const child = start("/none", ...words);
  assert.deepEqual(await ended(child), { status: 0, node: undefined });
  const [{ params } = { params: {} }] = daemon.asked;
  assert.deepEqual(params, { args: words, pid: child.pid });
  for (const verb of ["start", "pause", "resume"]) {
    assert.deepEqual(await ended(start("/none", ...ROOT, verb, "c1")), { status: 0, node: undefined });
  }
});

test("launch sends the words as Node.js has them, whatever bytes they are", async () => {
  await using daemon = await new Daemon(() => DONE).listen();
  const words = [...ROOT, "exec", "c1", "", 'a"b\\c', "new\nline\t\u0001\u007f", "é\u{1f600}", "x".repeat(100_000)];
  await ended(start("/none", ...words));
  assert.deepEqual(daemon.asked[0]?.params.args, words);
  // Bytes that are not UTF-8, which only a shell can pass on from here.
  const quoted = "$(printf '\\377a\\303b\\360\\237\\230c\\355\\240\\200')";
  const line = `"$0" "$@" --root ${folder} exec c1 "${quoted}"`;
  const run = (...program: string[]) => ended(spawn("sh", ["-c", line, ...program, script, "caisson"]));
  await run(builtFile("launch"), "/none");
  const { node } = await run(process.execPath);
  assert.ok(node);
  assert.deepEqual(daemon.asked[1]?.params.args, node.slice(1));
});

test("launch waits for an exec's process, passes signals on to it, and ends with its exit code", async () => {
  await using daemon = await new Daemon(({ id, verb, params }, client) => {
    if (verb === "command") return STARTED;
    if (verb === "wait") return "";
    client.write('{"id":3,"error":{"code":"CAISSON_E_STATE","message":"any"}}\n{"id":2,"res');
    return `ult":{"exitCode":${params.signal},"exitedAt":1,"oomKilled":false,"id":${id}}}`;
  }).listen();
  const child = start("/none", ...ROOT, "exec", "-e", "A=b", "--user=1", "c1", "true");
  while (daemon.asked[1]?.verb !== "wait") await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill("SIGUSR1");
  assert.deepEqual(await ended(child), { status: 10, node: undefined });
  const execId = "exec-12";
  assert.deepEqual(daemon.asked.slice(1), [
    { id: 2, verb: "wait", params: { execId } },
    { id: 3, verb: "kill", params: { signal: 10, all: false, execId } },
  ]);
});

test("launch passes on a signal that comes just before it hears that the process runs", async () => {
  let child: ChildProcess | undefined;
  await using daemon = await new Daemon(({ verb, params }, client) => {
    if (verb === "kill") return `{"id":2,"result":{"exitCode":${params.signal}}}`;
    if (verb === "wait") return "";
    child?.kill("SIGTERM");
    setTimeout(() => client.write(`${STARTED}\n`), 50);
    return "";
  }).listen();
  child = start("/none", ...ROOT, "exec", "c1", "true");
  assert.deepEqual(await ended(child), { status: 15, node: undefined });
  assert.equal(daemon.asked.length, 3);
});

test("launch leaves to Node.js what a daemon does not carry out", async () => {
  await using daemon = await new Daemon(() => '{"id":1,"error":{"code":"CAISSON_E_INTERNAL","message":"no"}}').listen();
  const words = [...ROOT, "exec", "c1", "true"];
  assert.deepEqual(await launch(...words), { status: 0, node: ["caisson", ...words] });
  assert.equal(daemon.asked.length, 1);
});

test("launch has Node.js tell what it cannot: an error, why a process has ended, and that a daemon has gone", async () => {
  const failed = '{"id":1,"result":{"error":{"code":"CAISSON_E_STATE","message":"it is paused"}}}';
  const lost = '{"id":2,"result":{"exitCode":255,"exitedAt":1,"oomKilled":false,"reason":"lost"}}';
  const words = [...ROOT, "exec", "c1", "true"];
  for (const [first, second, told] of [
    [failed, "", failed],
    [undefined, "", ""],
    [STARTED, lost, lost],
    [STARTED, undefined, ""],
    [STARTED, `{"id":2,"error":{"message":"any"}}`, `{"id":2,"error":{"message":"any"}}`],
    ["x".repeat(70_000), "", ""],
  ] as const) {
    await using _ = await new Daemon(({ verb }) => (verb === "command" ? first : second)).listen();
    assert.deepEqual(await launch(...words), { status: 0, node: ["with-answer", "", told, "caisson", ...words] });
  }
});

test("launch asks nobody for what is unusual, or where nobody listens", async () => {
  const daemon = await new Daemon(() => DONE).listen();
  for (const words of [
    [...ROOT, "state", "c1"],
    [...ROOT, "exec", "-t", "c1", "sh"],
    [...ROOT, "exec", "--process", "p", "c1"],
    [...ROOT, "exec", "--process", "/dev/null/x", "c1"],
    [...ROOT, "exec", "--process", folder, "c1"],
    [...ROOT, "exec", "--pid-file", "p", "c1", "true"],
    [...ROOT, "exec", "-d", "--console-socket", "s", "c1", "true"],
    [...ROOT, "exec", "--env"],
    [...ROOT, "exec", "c2", "true"],
    [...ROOT, "kill", "."],
    [...ROOT, "kill", "../c1"],
    [...ROOT, "kill", ""],
    [...ROOT, "--unknown", "kill", "c1"],
    ["--root", `${folder}/c1/..`, "kill", "c1"],
    ["--root", "", "kill", "c1"],
    ["--root"],
    [],
  ]) {
    assert.deepEqual(await launch(...words), { status: 0, node: ["caisson", ...words] }, words.join(" "));
  }
  assert.equal(daemon.asked.length, 0);
  await daemon[Symbol.asyncDispose]();
  assert.deepEqual(await launch(...ROOT, "kill", "c1"), { status: 0, node: ["caisson", ...ROOT, "kill", "c1"] });
});

test("launch reaches a socket whose path is longer than an address, and one of a relative root", async () => {
  const root = join(folder, "r".repeat(150));
  mkdirSync(join(root, "c1"), { recursive: true });
  const cwd = process.cwd();
  process.chdir(join(root, "c1"));
  const server = createServer((client) => client.on("data", () => client.write(`${DONE}\n`))).listen("control.sock");
  await once(server, "listening");
  process.chdir(cwd);
  for (const each of [root, "r".repeat(150), `./${"r".repeat(150)}/`]) {
    assert.deepEqual(await ended(start("/none", "--root", each, "kill", "c1")), { status: 0, node: undefined });
  }
  server.close();
});

test("launch leaves a process that is named in the pid file, passes signals on and ends as the exec's does", async () => {
  const program = join(folder, "process.json");
  writeFileSync(program, '{"args":["é\\n"]}');
  await using daemon = await new Daemon(({ verb, params }) => {
    if (verb === "command") return STARTED;
    return verb === "wait" ? "" : `{"id":2,"result":{"exitCode":${params.signal}}}`;
  }).listen();
  const pidFile = join(folder, "pid");
  // The shell is there to wait for what the launcher has left, as engines do.
  const words = [...ROOT, "exec", "-d", "--pid-file", "pid", "--process", "process.json", "c1"];
  const line = '"$0" "$@" </dev/null || exit 99; cat pid; sleep 0.1; kill -USR2 $(cat pid)';
  const shell = spawn("sh", ["-c", line, builtFile("launch"), "/none", script, "caisson", ...words], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [pid] = (await once(shell.stdout, "data")) as [Buffer];
  assert.equal((await once(shell, "close"))[0], 0);
  while (daemon.asked.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  const [command, wait, kill] = daemon.asked;
  assert.deepEqual([command?.params.pid, command?.params.process], [Number(pid), '{"args":["é\\n"]}']);
  assert.deepEqual([wait?.verb, kill?.params], ["wait", { signal: 12, all: false, execId: "exec-12" }]);
  assert.equal(readFileSync(pidFile, "utf8"), String(pid));
  while (existsSync(`/proc/${pid}/exe`)) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith(".")),
    [],
  );
});

test("launch leaves no process and no pid file of an exec that does not come to be", async () => {
  const program = join(folder, "process.json");
  writeFileSync(program, "{}");
  const words = [...ROOT, "exec", "-d", "--pid-file", join(folder, "none"), "-p", program, "c1"];
  const failed = '{"id":1,"result":{"error":{"code":"CAISSON_E_STATE","message":"no"}}}';
  for (const [answer, told] of [
    ['{"id":1,"error":{"code":"CAISSON_E_USAGE","message":"no"}}', []],
    [failed, ["with-answer", "", failed]],
  ] as const) {
    await using _ = await new Daemon(() => answer).listen();
    assert.deepEqual(await launch(...words), { status: 0, node: [...told, "caisson", ...words] });
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.includes("none")),
      [],
    );
  }
  await using daemon = await new Daemon(({ verb }) => (verb === "command" ? STARTED : "")).listen();
  const occupied = [...ROOT, "exec", "-d", "--pid-file", join(folder, "c1"), "-p", program, "c1"];
  const { node: [, , told = "", ...rest] = [] } = await launch(...occupied);
  assert.match(told, /cannot write the pid file/);
  assert.deepEqual(rest, ["caisson", ...occupied]);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith(".")),
    [],
  );
  daemon.asked.length = 0;
  const nowhere = [...ROOT, "exec", "-d", "--pid-file", "/none/pid", "-p", program, "c1"];
  assert.deepEqual(await launch(...nowhere), { status: 0, node: ["caisson", ...nowhere] });
  assert.equal(daemon.asked.length, 0);
});
