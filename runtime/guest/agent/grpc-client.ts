/**
 * What this folder and the generated code use of @grpc/grpc-js, from the modules that a client over a given channel needs:
 * the host's bundles have this file in place of the package (scripts/grpc-client-half.ts).
 */
export { ChannelCredentials as credentials } from "@grpc/grpc-js/build/src/channel-credentials.js";
export { ConnectivityState as connectivityState } from "@grpc/grpc-js/build/src/connectivity-state.js";
export { Status as status } from "@grpc/grpc-js/build/src/constants.js";
export { makeClientConstructor as makeGenericClientConstructor } from "@grpc/grpc-js/build/src/make-client.js";
export { Metadata } from "@grpc/grpc-js/build/src/metadata.js";
