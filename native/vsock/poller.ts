import { addon } from "./addon.ts";

const BATCH = 64;

interface Watcher {
  onEvents: (events: number) => void;
  referenced: boolean;
}

/** A descriptor being watched. */
export interface Watch {
  /** Ends it; must be called before the descriptor is closed. */
  stop(): void;
  /** Whether the watch keeps the process alive, as in node:net. */
  setReferenced(referenced: boolean): void;
  /** Nothing is reported while it is paused; afterwards all is, anew. */
  setPaused(paused: boolean): void;
}

/** A watch that need not be told of room for writes: each piece that whoever reads takes is an event. */
export interface RoomWatch extends Watch {
  /** Whether it is. What holds already is reported, too. */
  setRoom(wanted: boolean): void;
}

const ready = new Int32Array(2 * BATCH);
// By id, not by descriptor: a batch may hold an event of a descriptor that an earlier callback of the batch closed, and
// whose number has gone to a new one since.
const watchers = new Map<number, Watcher>();
let nextId = 0;
let references = 0;
let started = false;

function onReady(count: number): void {
  for (let i = 0; i < count; i++) {
    const watcher = watchers.get(ready[2 * i] as number);
    watcher?.onEvents(ready[2 * i + 1] as number);
  }
}

function countReference(change: 1 | -1): void {
  references += change;
  if (references === (change === 1 ? 1 : 0)) addon.pollerRef(change === 1);
}

/**
 * Calls `onEvents` with the EPOLL* bits of `fd`, once at the start and then whenever they change: edge-triggered, so what
 * was reported must be used up before more is (epoll(7)).
 * @throws EPERM for a descriptor that cannot be polled (a regular file), EEXIST for one that is watched already.
 */
export function watch(fd: number, onEvents: (events: number) => void, isRoomWanted = true): RoomWatch {
  let room = isRoomWanted;
  let watched: number | undefined;
  const made = register(
    onEvents,
    (id) => {
      addon.pollerAdd(fd, id, room);
      watched = id;
    },
    () => {
      addon.pollerRemove(fd);
      watched = undefined;
    },
  );
  const setRoom = (wanted: boolean) => {
    if (wanted === room) return;
    room = wanted;
    if (watched !== undefined) addon.pollerChange(fd, watched, wanted);
  };
  return Object.assign(made, { setRoom });
}

/**
 * Has `onEvents` called with what the poller says of an id, and of no other; the number after it is free, too.
 * @param add tells the poller of it. Throws what it throws.
 */
export function register(
  onEvents: (events: number) => void,
  add: (id: number) => void,
  remove: (id: number) => void,
): Watch {
  if (!started) {
    addon.pollerStart(onReady, ready);
    started = true;
  }
  nextId = (nextId + 2) % 0x7ffffffe;
  const id = nextId;
  add(id);
  const watcher: Watcher = { onEvents, referenced: true };
  watchers.set(id, watcher);
  countReference(1);
  const setReferenced = (referenced: boolean) => {
    if (watcher.referenced === referenced) return;
    watcher.referenced = referenced;
    countReference(referenced ? 1 : -1);
  };
  let isPaused = false;
  return {
    setReferenced(referenced) {
      if (watchers.has(id)) setReferenced(referenced);
    },
    setPaused(paused) {
      if (paused === isPaused || !watchers.has(id)) return;
      isPaused = paused;
      if (paused) remove(id);
      else add(id);
    },
    stop() {
      if (!watchers.delete(id)) return;
      setReferenced(false);
      if (!isPaused) remove(id);
    },
  };
}
