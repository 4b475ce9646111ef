import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Bundle } from "./bundle.ts";
import { collect, detached, Host, PROGRAM, until } from "./host.ts";
import { isRunning } from "./qemu.ts";

/** The fork servers of templates of our own, and what is forked from them. */
export class ForkServers implements AsyncDisposable {
  readonly host = new Host();
  readonly sleeper = new Bundle();
  readonly folder = mkdtempSync("/dev/shm/caisson-test-");
  readonly settings = join(this.folder, "config.toml");
  /** Settings with which none is made or used. */
  readonly without = join(this.folder, "without.toml");
  /** Of the template that serve() made. */
  key = "";

  constructor() {
    const lines = `template_dir = "${this.folder}/templates"\nmemory_mib = 256\nboot_timeout_seconds = 100\n`;
    writeFileSync(this.settings, lines);
    writeFileSync(this.without, `${lines}fork_server = "off"\n`);
  }

  get template(): string {
    return join(this.folder, "templates", this.key);
  }

  /** The file that says where the fork server is. */
  get description(): string {
    return join(this.template, "fork-server.json");
  }

  caisson(...args: string[]): Promise<string> {
    return this.host.ok(["--config", this.settings, ...args]);
  }

  /** The fork server's pid, which is made if need be. */
  async serve(): Promise<number> {
    const { exitCode, stdout, stderr } = await collect(this.withOpenFiles("pipe", "template", "build"));
    assert.equal(exitCode, 0, stderr);
    this.key = stdout.trim();
    return this.serverPid() ?? assert.fail("there is no fork server");
  }

  /** A caisson whose caller has descriptors 3 to 200 of its own. */
  withOpenFiles(output: "pipe" | "ignore", ...args: string[]): ChildProcess {
    const script = 'for fd in {3..200}; do eval "exec $fd</dev/full"; done; exec "$@"';
    const words = ["-c", script, "bash", PROGRAM, "--root", this.host.root, "--config", this.settings, ...args];
    return spawn("bash", words, { stdio: ["ignore", output, output] });
  }

  serverPid(): number | undefined {
    const description = text(this.description);
    if (description === "") return undefined;
    const { pid } = JSON.parse(description) as { pid: number };
    return isRunning(pid) ? pid : undefined;
  }

  /** QEMU's memory is a file of our templates; in the mount namespace of a fork server it has another path. */
  qemus(): number[] {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    const name = basename(this.folder);
    return pids
      .map(Number)
      .filter((pid) => text(`/proc/${pid}/comm`).startsWith("qemu") && text(`/proc/${pid}/maps`).includes(name));
  }

  qemuOf(id: string): number {
    return this.qemus().find((pid) => text(`/proc/${pid}/cgroup`).includes(id)) ?? assert.fail(`${id} has no QEMU`);
  }

  /** A container that sleeps. */
  async start(...args: string[]): Promise<string> {
    const id = this.host.id();
    await detached(this.host, ["--config", this.settings, ...args, "run", "-d", "-b", this.sleeper.directory, id]);
    return id;
  }

  /** Fails if a test has left anything behind, which is ended before the next one. */
  async leftNothing(): Promise<void> {
    const left = await this.host.remains();
    await this.host.clear();
    assert.deepEqual(left, []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.caisson("template", "rm", "--all");
    await until(() => this.qemus().length === 0);
    this.sleeper[Symbol.dispose]();
    await this.host[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true });
  }
}

/** The numbers of the descriptors that a process has of what withOpenFiles() opens. */
export function foreign(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === "/dev/full");
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** A field of a process's status. */
export function status(pid: number, field: string): string | undefined {
  return new RegExp(`^${field}:\\s+(.*)$`, "m").exec(text(`/proc/${pid}/status`))?.[1];
}

/** What is in a file; nothing if it cannot be read. */
export function text(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
