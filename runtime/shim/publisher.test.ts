import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { ForwardRequest, TaskOOM } from "../../protocol/generated/containerd/events.ts";
import { serve } from "../ttrpc/server.ts";
import { StatusCode, StatusError } from "../ttrpc/status.ts";
import { Publisher } from "./publisher.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-events-"));
after(() => rmSync(folder, { recursive: true }));
let serial = 0;

/** containerd's events service, which can be restarted and can refuse. */
class Exchange {
  readonly path = join(folder, `${serial++}.sock`);
  readonly taken: string[] = [];
  refusals = 0;
  readonly #connections = new Set<Socket>();
  #server: Server | undefined;

  async start(): Promise<void> {
    const forward = async (payload: Buffer) => {
      if (this.refusals > 0) {
        this.refusals -= 1;
        throw new StatusError(StatusCode.unavailable, "not now");
      }
      const { envelope } = ForwardRequest.decode(payload);
      const { topic = "", namespace = "", event } = envelope ?? {};
      const { containerId } = TaskOOM.decode(event?.value ?? Buffer.alloc(0));
      this.taken.push(`${namespace} ${topic} ${event?.typeUrl} ${containerId}`);
      return Buffer.alloc(0);
    };
    this.#server = createServer((connection) => {
      this.#connections.add(connection);
      serve(connection, { "containerd.services.events.ttrpc.v1.Events": { Forward: forward } });
    }).listen(this.path);
    await once(this.#server, "listening");
  }

  async stop(): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    this.#server?.close();
    await once(this.#server as Server, "close");
  }

  async waitFor(count: number): Promise<void> {
    for (const end = performance.now() + 60_000; this.taken.length < count && performance.now() < end; )
      await delay(10);
  }
}

function publish(publisher: Publisher, ...ids: string[]): void {
  for (const containerId of ids) publisher.publish("/tasks/oom", "TaskOOM", TaskOOM, { containerId });
}

const expected = (...ids: string[]) => ids.map((id) => `ns /tasks/oom containerd.events.TaskOOM ${id}`);

test("Publisher sends events in their order", async () => {
  const exchange = new Exchange();
  await exchange.start();
  const publisher = new Publisher(`unix://${exchange.path}`, "ns");
  publish(publisher, "1", "2", "3");
  await publisher.close(30_000);
  assert.deepEqual(exchange.taken, expected("1", "2", "3"));
  await exchange.stop();
});

test("Publisher sends again what was refused, before what came later", async () => {
  const exchange = new Exchange();
  exchange.refusals = 2;
  await exchange.start();
  const publisher = new Publisher(exchange.path, "ns");
  publish(publisher, "1", "2");
  await publisher.close(30_000);
  assert.deepEqual(exchange.taken, expected("1", "2"));
  await exchange.stop();
});

test("Publisher keeps events while nobody is there, and finds containerd again", async () => {
  const exchange = new Exchange();
  const publisher = new Publisher(exchange.path, "ns");
  publish(publisher, "1", "2");
  await delay(100);
  await exchange.start();
  await exchange.waitFor(2);
  await exchange.stop();
  publish(publisher, "3");
  await delay(50);
  await exchange.start();
  publish(publisher, "4");
  await exchange.waitFor(4);
  assert.deepEqual(exchange.taken, expected("1", "2", "3", "4"));
  await publisher.close(100);
  await exchange.stop();
});

test("Publisher.close waits no longer than it may, and nothing is published after it", async () => {
  const publisher = new Publisher(join(folder, "nobody"), "ns");
  publish(publisher, "1");
  const start = performance.now();
  await publisher.close(60);
  assert.ok(performance.now() - start < 20_000);
  publish(publisher, "2");
});

test("Publisher without an address tells nobody", async () => {
  const publisher = new Publisher("", "ns");
  publish(publisher, "1");
  await publisher.close(60);
});
