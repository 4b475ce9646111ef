import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import type { Engine } from "./engine.ts";

const LIMIT_MS = 120_000;

/** What containerd tells its subscribers from now on, e.g. `/tasks/exit {"container_id":...}`. */
export class Events implements Disposable {
  readonly #child: ChildProcess;
  #text = "";

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#text += text;
    });
  }

  static async watch(engine: Engine): Promise<Events> {
    const child = spawn("ctr", ["--address", engine.socket, "events"], { stdio: ["ignore", "pipe", "ignore"] });
    const events = new Events(child);
    // The subscription has no answer: an event of ours shows that it is there.
    for (let probe = 0; events.#text === ""; probe++) {
      if (probe > 600) throw new Error("ctr events shows nothing");
      await engine.ctr("namespaces", "label", "default", `probe=${probe}`);
      await delay(20);
    }
    return events;
  }

  /** The topics about a container, in their order. */
  topics(id: string): string[] {
    return this.of(id).map(([topic]) => topic);
  }

  /** Topic and body of each event about a container. */
  of(id: string): [topic: string, body: Record<string, unknown>][] {
    return this.#text
      .split("\n")
      .map((line) => /(\/tasks\/\S+) (\{.*\})/.exec(line))
      .filter((match) => match !== null)
      .map((match): [string, Record<string, unknown>] => [match[1] ?? "", JSON.parse(match[2] ?? "{}")])
      .filter(([, body]) => body["container_id"] === id);
  }

  /** Waits for an event of that topic about the container. @returns its body. */
  async wait(id: string, topic: string): Promise<Record<string, unknown>> {
    for (const end = performance.now() + LIMIT_MS; performance.now() < end; await delay(20)) {
      const found = this.of(id).find(([name]) => name === topic);
      if (found !== undefined) return found[1];
    }
    throw new Error(`no ${topic} of ${id} within ${LIMIT_MS / 1000} s; there were ${this.topics(id).join(" ")}`);
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}
