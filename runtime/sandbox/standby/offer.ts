/** How a VM that stands by changes hands: its holder listens, and the first who connects gets it. */
import { connect, createServer, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import type { LentNetwork } from "../../network/vm-taps.ts";
import { socketAddress } from "../../state/socket-address.ts";
import type { LentShare } from "../../storage/share.ts";
import type { MachineHandles } from "../../vm/standby.ts";

/** What the holder says on the connection, as JSON; pids and descriptors are its own. */
export interface Offer {
  pid: number;
  machine: MachineHandles;
  share: LentShare;
  network: LentNetwork;
}

/** A holder does nothing else. */
const ANSWER_LIMIT_MS = 2000;
/** What the holder hears once all has been taken over. */
const TAKEN = "taken";

/**
 * Waits for somebody to take the VM over.
 * @param handOver called when somebody comes: from then on the VM is not for the holder to use.
 * @returns whether it has been taken over; else it is the caller's to end.
 */
export async function makeOffer(path: string, handOver: () => Offer, signal: AbortSignal): Promise<boolean> {
  using address = socketAddress(path);
  const server = createServer({ allowHalfOpen: true });
  const closed = new Promise<void>((resolve) => server.once("close", () => resolve()));
  const connection = await new Promise<Socket | undefined>((resolve, reject) => {
    signal.addEventListener("abort", () => resolve(undefined));
    server.once("connection", resolve);
    server.once("error", reject);
    server.listen(address.path);
    if (signal.aborted) resolve(undefined);
  });
  // It takes the path away, so nobody else comes.
  server.close();
  if (connection === undefined) {
    await closed;
    return false;
  }
  const said = text(connection).catch(() => "");
  connection.end(JSON.stringify(handOver()));
  return (await said) === TAKEN;
}

/** An offer that was asked for; it is refused unless accept() is called before it is disposed of. */
export interface OpenOffer extends Disposable {
  offer: Offer;
  /** Tells the holder that all of it has been taken over. */
  accept(): void;
}

/** @returns undefined when nobody offers anything there any more. */
export async function askForOffer(path: string): Promise<OpenOffer | undefined> {
  using address = socketAddress(path);
  const connection = connect({ path: address.path, allowHalfOpen: true });
  connection.setTimeout(ANSWER_LIMIT_MS, () => connection.destroy(new Error("the holder of the VM does not answer")));
  try {
    const offer = JSON.parse(await text(connection)) as Offer;
    connection.setTimeout(0);
    return { offer, accept: () => connection.end(TAKEN), [Symbol.dispose]: () => void connection.destroySoon() };
  } catch {
    connection.destroy();
    return undefined;
  }
}
