/**
 * An esbuild plugin: only the half of @grpc/grpc-js that a server needs. The guest's agent is never a client, and loading
 * the client half (name resolution, load balancing, proxies, protobuf reflection) costs a third of its start.
 */
import { resolve } from "node:path";
import type { Plugin } from "esbuild";

/** Client-side modules that server modules of grpc-js require and use only for channelz, ORCA and admin services. */
const CLIENT_MODULES = /^(\.\/(admin|make-client|channel-credentials|subchannel-interface)|@grpc\/proto-loader)$/;

export const grpcServerHalf: Plugin = {
  name: "grpc-server-half",
  setup(build) {
    build.onResolve({ filter: /^@grpc\/grpc-js$/ }, () => ({ path: resolve("agent/server/grpc-server.ts") }));
    build.onResolve({ filter: CLIENT_MODULES }, ({ path, importer }) =>
      importer.includes("/@grpc/grpc-js/") ? { path, namespace: "absent" } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: "absent" }, () => ({
      // What runs while modules load; calling anything else fails loudly, since it is not there.
      contents: "module.exports = { BaseSubchannelWrapper: class {}, registerAdminService() {} };",
    }));
  },
};
