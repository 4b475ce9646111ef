import assert from "node:assert/strict";
import { test } from "node:test";
import type { Exit } from "../guest/exit-status.ts";
import { PodContainer, type PodContainerParts } from "./pod-container.ts";

/** A container whose acts are noted in their order, and whose init ends when told. */
function make(failing: readonly string[] = [], startsItself = false) {
  const done: string[] = [];
  const over = Promise.withResolvers<Exit>();
  const act = (name: string) => async () => {
    done.push(name);
    if (failing.includes(name)) throw new Error(`${name} fails`);
  };
  const write = (prefix: string) => (changes: { status: string }) => {
    const name = `${prefix} ${changes.status}`;
    done.push(name);
    if (failing.includes(name)) throw new Error(`${name} fails`);
  };
  const init = { over: over.promise, exit: over.promise, collected: over.promise.then(() => {}) };
  const container = {
    id: "c",
    lifecycle: "created",
    startsItself,
    init,
    start: act("start"),
    pause: act("pause"),
    resume: act("resume"),
  };
  const parts = {
    container,
    guest: {},
    host: { pid: 7 },
    hooks: { poststart: act("poststart"), abort: () => done.push("abort") },
    record: { state: { status: "created" }, write: write("record"), tryToWrite: write("try") },
    limit: () => {},
    started: () => done.push("started"),
    remove: act("remove"),
  } as unknown as PodContainerParts;
  return {
    own: new PodContainer(parts),
    done,
    end: (exit: Partial<Exit>) => over.resolve({ exitedAt: 0, oomKilled: false, exitCode: 0, ...exit }),
  };
}

test("PodContainer has a changed status on record before it carries it out", async () => {
  const { own, done } = make();
  await own.start();
  await own.pause();
  await own.resume();
  assert.deepEqual(done, [
    "record running",
    "start",
    "started",
    "poststart",
    "record paused",
    "pause",
    "record running",
    "resume",
  ]);
});

test("PodContainer has one that the guest has started on record before its end, and start() tells of that once", async () => {
  const { own, done, end } = make([], true);
  end({ exitCode: 3 });
  await own.ended;
  await own.start();
  assert.deepEqual(done, ["record running", "start", "started", "poststart", "try stopped"]);
  await own.start();
  assert.equal(done.filter((each) => each === "start").length, 2, "the container refuses that");
});

test("PodContainer does nothing that cannot be recorded, and takes back what could not be done", async () => {
  const unwritten = make(["record running"]);
  await assert.rejects(unwritten.own.start(), /record running fails/);
  assert.deepEqual(unwritten.done, ["record running"]);
  const undone = make(["start"]);
  await assert.rejects(undone.own.start(), /start fails/);
  assert.deepEqual(undone.done, ["record running", "start", "try created"]);
});

test("PodContainer.ended: the end is on record, and then nothing of it is in the guest; it is removed once", async () => {
  const { own, done, end } = make();
  assert.equal(own.isOver, false);
  end({ exitCode: 3 });
  assert.equal((await own.ended).exitCode, 3);
  assert.equal(own.isOver, true);
  await Promise.all([own.remove(), own.remove()]);
  assert.deepEqual(done, ["try stopped", "remove"]);
});
