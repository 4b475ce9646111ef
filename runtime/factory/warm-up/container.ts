/** Containers that only warm a guest up. */
import { Readable, Writable } from "node:stream";
import type { Process, Spec } from "../../../protocol/oci.ts";
import type { Agent } from "../../guest/agent/client.ts";
import { GuestClock } from "../../guest/clock.ts";
import { Container } from "../../guest/container.ts";
import type { GuestBundle } from "../../guest/create-container-request.ts";
import type { GuestVm } from "../../guest/guest-vm.ts";
import type { ProcessIo } from "../../guest/stdio/pump.ts";
import { defaultSpec } from "../../oci/default-spec.ts";

const WARM_ID = "warm";

/**
 * A container's whole life. @param applet of busybox that is run in it with some input; without one it ends by itself, and is started
 * with the call that creates it.
 */
export async function live(agent: Agent, spec: Spec, applet?: readonly string[]): Promise<void> {
  const container = await createWarm(agent, WARM_ID, {
    spec,
    seccomp: undefined,
    clock: new GuestClock(),
    starts: applet === undefined,
  });
  await container.start();
  if (applet !== undefined) {
    const words = await container.exec(undefined, processOf(["/bin/busybox", ...applet]), silentIo("warm"));
    await words.exit;
    await container.pause();
    await container.resume();
    await container.kill(9);
  }
  await end(container);
}

/** Throws as Container.create() does. */
export function createWarm(agent: Agent, id: string, bundle: Omit<GuestBundle, "bundle">): Promise<Container> {
  return Container.create(warmVm(agent), id, { ...bundle, bundle: "/" }, silentIo());
}

/** Waits for its end, and removes it. */
export async function end(container: Container): Promise<void> {
  await container.wait();
  await container.delete();
}

/** The VM that is being warmed up belongs to whoever does that, who sees calls fail in it. */
function warmVm(agent: Agent): GuestVm {
  const lost = async (why: string) => ({
    reason: "vm-error" as const,
    description: `was given up: ${why}`,
    consoleLines: [],
    qemuMessage: "",
  });
  return {
    agent,
    vcpus: 1,
    mostMemoryMib: 0,
    isShared: false,
    giveUp: lost,
    lost: (error) => lost(String(error)),
    deathBehind: async () => undefined,
  };
}

export function processOf(args: string[]): Process {
  return { ...(defaultSpec().process as Process), terminal: false, args };
}

function silentIo(input = ""): ProcessIo {
  const sink = () => new Writable({ write: (_chunk, _encoding, done) => done() });
  return { stdin: Readable.from([Buffer.from(input)]), stdout: sink(), stderr: sink() };
}
