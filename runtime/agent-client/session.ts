import { type ClientHttp2Session, connect } from "node:http2";
import type { Duplex } from "node:stream";

/** Bytes the agent may have in flight to us, per stream and for the connection: what a slow reader of stdio can cost. */
const STREAM_WINDOW = 1024 * 1024;
const CONNECTION_WINDOW = 8 * 1024 * 1024;
const MEGABYTES_OF_SESSION_MEMORY = 32;

/** An HTTP/2 session over one connection that exists already: vsock, virtio-serial or a socket pair. */
export function openSession(connection: Duplex): ClientHttp2Session {
  const session = connect("http://agent", {
    createConnection: () => connection,
    settings: { initialWindowSize: STREAM_WINDOW, enablePush: false },
    maxSessionMemory: MEGABYTES_OF_SESSION_MEMORY,
  });
  session.on("connect", () => session.setLocalWindowSize(CONNECTION_WINDOW));
  // Every call reports the session's end by itself; without a listener Node would throw it.
  session.on("error", () => {});
  return session;
}
