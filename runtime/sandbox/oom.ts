import type { Event } from "../../protocol/generated/agent.ts";
import { memoryExhausted } from "../guest/memory-exhausted.ts";
import { log } from "../text/log.ts";
import type { Guest } from "./guest.ts";

/** Has `tell` called when the kernel's OOM killer has killed in a container. The guest's word counts about those that are there. */
export function watchOom(
  { agent, mostMemoryMib }: Guest,
  isThere: (id: string) => boolean,
  tell: (id: string) => void,
): void {
  const events = agent.watchEvents();
  events.on("error", () => {});
  events.on("data", ({ event }: Event) => {
    if (event?.$case !== "oom" || !isThere(event.value.containerId)) return;
    const { containerId, guestMemoryExhausted } = event.value;
    if (guestMemoryExhausted)
      log.error(`Container ${containerId} is out of memory: ${memoryExhausted(mostMemoryMib)}.`);
    tell(containerId);
  });
}
