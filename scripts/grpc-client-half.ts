/**
 * An esbuild plugin: only the half of @grpc/grpc-js that a client needs which brings its channel along
 * (runtime/guest/agent/channel.ts). The other half is servers, and how a channel is dialled: name resolution, load balancing,
 * subchannels, proxies, protobuf reflection.
 */
import { resolve } from "node:path";
import type { Plugin } from "esbuild";

/** Modules of grpc-js that those of a client require, and use only for a channel or a secure connection of grpc-js's own. */
const DIALLING_MODULES = /^\.\/(channel|resolver)$/;

export const grpcClientHalf: Plugin = {
  name: "grpc-client-half",
  setup(build) {
    build.onResolve({ filter: /^@grpc\/grpc-js$/ }, () => ({ path: resolve("runtime/guest/agent/grpc-client.ts") }));
    build.onResolve({ filter: DIALLING_MODULES }, ({ path, importer }) =>
      importer.includes("/@grpc/grpc-js/") ? { path, namespace: "absent" } : undefined,
    );
    // Using anything of them fails loudly, since it is not there.
    build.onLoad({ filter: /.*/, namespace: "absent" }, () => ({ contents: "module.exports = {};" }));
  },
};
