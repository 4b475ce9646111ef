/**
 * An esbuild plugin: only the half of @grpc/grpc-js that a server needs. The guest's agent is never a client, and loading
 * the client half (name resolution, load balancing, proxies, protobuf reflection) costs a third of its start.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Plugin } from "esbuild";

/** Client-side modules that server modules of grpc-js require and use only for channelz, ORCA and admin services. */
const CLIENT_MODULES = /^(\.\/(admin|make-client|channel-credentials|subchannel-interface)|@grpc\/proto-loader)$/;

/**
 * Answers have no date, which gRPC knows nothing of: for the first one V8 looks up how time zones are called, 1,500 blocks of code for an emulator
 * to translate.
 */
const WITH_DATE = "waitForTrailers: true,";
const WITHOUT_DATE = `${WITH_DATE} sendDate: false,`;

export const grpcServerHalf: Plugin = {
  name: "grpc-server-half",
  setup(build) {
    build.onResolve({ filter: /^@grpc\/grpc-js$/ }, () => ({ path: resolve("agent/server/grpc-server.ts") }));
    build.onResolve({ filter: CLIENT_MODULES }, ({ path, importer }) =>
      importer.includes("/@grpc/grpc-js/") ? { path, namespace: "absent" } : undefined,
    );
    build.onLoad({ filter: /\/@grpc\/grpc-js\/build\/src\/server-interceptors\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      if (!source.includes(WITH_DATE)) throw new Error(`${path} answers otherwise than is known here`);
      return { contents: source.replace(WITH_DATE, WITHOUT_DATE) };
    });
    build.onLoad({ filter: /.*/, namespace: "absent" }, () => ({
      // What runs while modules load; calling anything else fails loudly, since it is not there.
      contents: "module.exports = { BaseSubchannelWrapper: class {}, registerAdminService() {} };",
    }));
  },
};
