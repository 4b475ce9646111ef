import { read } from "node:fs";
import { promisify } from "node:util";
import { nextData } from "../../../native/posix/index.ts";

const BLOCK_BYTES = 64 * 1024;
const ZEROS = Buffer.alloc(BLOCK_BYTES);
const readAt = promisify(read);

/**
 * What a file holds, as 64 hex digits. Its holes cost nothing, and are the same as zeros: a VM's memory is mostly holes, and has more of them
 * than there is memory (vm/memory-layout.ts). @throws the system's error.
 */
export async function digest(fd: number): Promise<string> {
  // Not what a start needs.
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  const block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  let end = 0;
  for (let data = nextData(fd, 0); data !== undefined; data = nextData(fd, end)) {
    const [start] = data;
    end = data[1];
    for (let at = start - (start % BLOCK_BYTES); at < end; at += BLOCK_BYTES) {
      const { bytesRead } = await readAt(fd, block, 0, BLOCK_BYTES, at);
      const bytes = block.subarray(0, bytesRead);
      if (bytes.equals(ZEROS.subarray(0, bytesRead))) continue;
      hash.update(`${at} ${bytesRead}:`).update(bytes);
    }
    // A hole may end within a block, which has been read whole.
    end += (BLOCK_BYTES - (end % BLOCK_BYTES)) % BLOCK_BYTES;
  }
  return hash.digest("hex");
}
