import { memoryExhausted } from "../guest/memory-exhausted.ts";
import { log } from "../text/log.ts";
import type { Guest } from "./guest.ts";

/** Has `tell` called when the kernel's OOM killer has killed in a container. The guest's word counts about those that are there. */
export function watchOom(
  { news, mostMemoryMib }: Guest,
  isThere: (id: string) => boolean,
  tell: (id: string) => void,
): void {
  news.onOom = ({ containerId, guestMemoryExhausted }) => {
    if (!isThere(containerId)) return;
    if (guestMemoryExhausted)
      log.error(`Container ${containerId} is out of memory: ${memoryExhausted(mostMemoryMib)}.`);
    tell(containerId);
  };
}
