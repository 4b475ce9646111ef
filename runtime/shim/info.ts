import { RuntimeInfo } from "../../protocol/generated/containerd/options.ts";
import { Any } from "../../protocol/generated/containerd/types.ts";
import { VERSION } from "../cli/version.ts";
import { features } from "../oci/features.ts";
import { packOci } from "./any.ts";

/** What the runtime is and can do. @param input standard input: the runtime's options, or nothing. */
export function runtimeInfo(input: Uint8Array): Uint8Array {
  return RuntimeInfo.encode({
    name: "io.containerd.caisson.v2",
    version: { version: VERSION, revision: "" },
    options: input.length === 0 ? undefined : Any.decode(input),
    features: packOci("features/Features", features(VERSION)),
    annotations: {},
  }).finish();
}
