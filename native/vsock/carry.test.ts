import assert from "node:assert/strict";
import { closeSync, readSync, writeSync } from "node:fs";
import { after, test } from "node:test";
import { openpty, pipe, socketpair } from "../posix/index.ts";
import { addon } from "./addon.ts";
import { Carry } from "./carry.ts";

const opened = new Set<number>();
after(() => {
  for (const fd of opened) closeSync(fd);
});

function keep<T extends readonly number[]>(fds: T): T {
  for (const fd of fds) {
    addon.open(fd);
    opened.add(fd);
  }
  return fds;
}

function close(fd: number): void {
  opened.delete(fd);
  closeSync(fd);
}

function readAll(fd: number): string {
  const buffer = Buffer.alloc(1024);
  let text = "";
  try {
    for (let count = 1; count > 0; text += buffer.toString("latin1", 0, count)) count = readSync(fd, buffer);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "EAGAIN");
  }
  return text;
}

/** All that is ready has been looked at: on a busy machine the time alone may be over before that. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setImmediate(resolve));
}

test("a Carry moves from a pipe to a socket until the pipe's end, over a sink that is full at times", async () => {
  const [source, writer] = keep(pipe());
  const [sink, reader] = keep(socketpair());
  const carry = new Carry({ from: source, to: sink });
  const block = Buffer.alloc(64 * 1024, "x");
  let sent = 0;
  let received = 0;
  const buffer = Buffer.alloc(1024 * 1024);
  const receive = () => {
    try {
      received += readSync(reader, buffer);
    } catch {
      // Nothing is there yet.
    }
  };
  while (sent < 8 * 1024 * 1024) {
    try {
      sent += writeSync(writer, block);
    } catch {
      await turn();
      receive();
    }
  }
  close(writer);
  while (received < sent) {
    receive();
    await turn();
  }
  assert.deepEqual(await carry.over, { bytes: sent, isStopped: false });
  assert.equal(received, sent);
});

test("a Carry goes on when the pipe that it has filled has been read, and notices when its reader goes", async () => {
  const [source, sender] = keep(socketpair());
  const [pipeOut, pipeIn] = keep(pipe());
  const carry = new Carry({ from: source, to: pipeIn, drains: true });
  const block = Buffer.alloc(64 * 1024, "x");
  const fill = async (): Promise<number> => {
    let sent = 0;
    for (let tries = 0; tries < 10; tries++) {
      try {
        for (;;) sent += writeSync(sender, block);
      } catch {
        await turn();
      }
    }
    return sent;
  };
  let sent = await fill();
  const buffer = Buffer.alloc(4096);
  for (let received = 0; received < sent; ) {
    try {
      received += readSync(pipeOut, buffer);
    } catch {
      await turn();
    }
  }
  sent += await fill();
  close(pipeOut);
  await carry.broken;
  carry.limit(sent);
  assert.deepEqual(await carry.over, { bytes: sent, isStopped: false });
});

test("a Carry that is to finish passes on what it has, and takes no more", async () => {
  const [source, writer] = keep(pipe());
  const [sink, reader] = keep(socketpair());
  const block = Buffer.alloc(60_000, "x");
  let filled = 0;
  for (;;) {
    try {
      filled += writeSync(sink, block);
    } catch {
      break;
    }
  }
  const carry = new Carry({ from: source, to: sink });
  writeSync(writer, "held");
  await turn();
  carry.finish();
  writeSync(writer, "left");
  await turn();
  const buffer = Buffer.alloc(1024 * 1024);
  let received = "";
  for (let rest = filled + 4; rest > 0; ) {
    try {
      const count = readSync(reader, buffer);
      received = buffer.toString("latin1", Math.max(0, count - 4), count);
      rest -= count;
    } catch {
      await turn();
    }
  }
  assert.equal(received, "held");
  assert.deepEqual(await carry.over, { bytes: 4, isStopped: true });
  assert.equal(readAll(source), "left");
});

test("a Carry that is stopped leaves what it has not taken", async () => {
  const [source, writer] = keep(pipe());
  const [sink, reader] = keep(socketpair());
  const carry = new Carry({ from: source, to: sink });
  writeSync(writer, "one");
  await turn();
  carry.stop();
  carry.stop();
  writeSync(writer, "two");
  await turn();
  assert.deepEqual(await carry.over, { bytes: 3, isStopped: true });
  assert.deepEqual([readAll(reader), readAll(source)], ["one", "two"]);
});

test("a Carry ends when its sink takes no more, or drains its source up to the limit", async () => {
  const [source, writer] = keep(pipe());
  const [closed, sink] = keep(pipe());
  const ending = new Carry({ from: source, to: sink });
  close(closed);
  writeSync(writer, "lost");
  assert.equal((await ending.over).isStopped, false);

  const [far, near] = keep(socketpair());
  const [stdin, toStdin] = keep(pipe());
  const draining = new Carry({ from: near, to: toStdin, drains: true });
  writeSync(far, "kept");
  await turn();
  assert.equal(readAll(stdin), "kept");
  close(stdin);
  writeSync(far, "dropped");
  await draining.broken;
  draining.limit(15);
  writeSync(far, "more");
  writeSync(far, "the next one's");
  assert.deepEqual(await draining.over, { bytes: 15, isStopped: false });
  assert.equal(readAll(near), "the next one's");
});

test("a Carry that lets go of its sink keeps it open no longer", async () => {
  const [far, near] = keep(socketpair());
  const { master, slave } = openpty();
  keep([master, slave]);
  const carry = new Carry({ from: near, to: master, drains: true });
  writeSync(far, "typed\n");
  await turn();
  assert.equal(readAll(slave), "typed\n");
  carry.letGo();
  close(master);
  assert.throws(() => writeSync(slave, "x"), { code: "EIO" });
  writeSync(far, "dropped");
  carry.limit(13);
  assert.equal((await carry.over).bytes, 13);
});

test("a Carry moves what a terminal prints, and ends with it", async () => {
  const { master, slave } = openpty();
  keep([master, slave]);
  const [sink, reader] = keep(socketpair());
  const carry = new Carry({ from: master, to: sink });
  writeSync(slave, "hello\n");
  await turn();
  close(slave);
  assert.deepEqual(await carry.over, { bytes: 7, isStopped: false });
  assert.equal(readAll(reader), "hello\r\n");
});
