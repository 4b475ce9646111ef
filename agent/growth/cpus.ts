import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { CaissonError } from "../../protocol/errors.ts";

const FOLDER = "/sys/devices/system/cpu";

/**
 * Puts CPUs online until that many are, or all that there are.
 * @returns how many are online. @throws CaissonError CAISSON_E_HOST when the kernel does not start one.
 */
export function onlineCpus(count: number, folder = FOLDER): number {
  let online = 1;
  for (let cpu = 1; existsSync(`${folder}/cpu${cpu}/online`); cpu++) {
    const file = `${folder}/cpu${cpu}/online`;
    let isOnline = readFileSync(file, "latin1").trim() === "1";
    if (!isOnline && online < count) {
      try {
        writeFileSync(file, "1");
        isOnline = true;
      } catch (cause) {
        throw new CaissonError(
          "CAISSON_E_HOST",
          `the guest cannot put CPU ${cpu} online: ${(cause as Error).message}`,
          {
            cause,
          },
        );
      }
    }
    if (isOnline) online += 1;
  }
  return online;
}
