/**
 * What the agent and the generated code use of @grpc/grpc-js, from the modules that a server needs: the agent's bundle
 * has this file in place of the package (scripts/grpc-server-half.ts).
 */
export { Status as status } from "@grpc/grpc-js/build/src/constants.js";
export { Metadata } from "@grpc/grpc-js/build/src/metadata.js";
export { Server } from "@grpc/grpc-js/build/src/server.js";
export { ServerCredentials } from "@grpc/grpc-js/build/src/server-credentials.js";

/** The generated code makes its client's class with it when it loads; the agent has no use for that class. */
export function makeGenericClientConstructor(): undefined {}
