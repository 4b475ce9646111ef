import { rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { CaissonError } from "../../protocol/errors.ts";
import { CONTENT_TYPE } from "../metrics/exposition.ts";
import { formatError, isSystemError, systemErrorSentence } from "../text/errors.ts";
import { log } from "../text/log.ts";
import type { Address } from "./address.ts";

/** No request of a scraper's takes longer to arrive. */
const REQUEST_LIMIT_MS = 10_000;
const MOST_CONNECTIONS = 64;

export interface Exporter {
  server: Server;
  /** The address by which the server can be reached: a port that the kernel has chosen is in it. */
  at: string;
}

/**
 * Serves what `gather` gives as /metrics, to as many as ask: whoever comes while it is gathered gets the same.
 * @throws CaissonError CAISSON_E_HOST when the address cannot be listened at.
 */
export async function serveMetrics(address: Address, gather: () => Promise<string>): Promise<Exporter> {
  let gathering: Promise<string> | undefined;
  const shared = () => {
    gathering ??= gather().finally(() => {
      gathering = undefined;
    });
    return gathering;
  };
  const server = createServer({ requestTimeout: REQUEST_LIMIT_MS }, (request, response) => {
    answer(request, response, shared).catch((error: unknown) => {
      log.warning(formatError(error));
      response.destroy();
    });
  });
  server.maxConnections = MOST_CONNECTIONS;
  try {
    await listen(server, address);
  } catch (cause) {
    const doing = `listen at ${"path" in address ? address.path : `${address.host}:${address.port}`}`;
    throw new CaissonError("CAISSON_E_HOST", systemErrorSentence(doing, cause), { cause });
  }
  return { server, at: shown(address, server) };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  gather: () => Promise<string>,
): Promise<void> {
  request.resume();
  const path = (request.url ?? "/").split("?")[0];
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { Allow: "GET, HEAD" }).end();
  } else if (path === "/metrics") {
    const text = await gather();
    response.writeHead(200, { "Content-Type": CONTENT_TYPE }).end(request.method === "HEAD" ? undefined : text);
  } else if (path === "/") {
    response.writeHead(200, { "Content-Type": "text/plain; charset=utf-8" }).end("caisson monitor: see /metrics\n");
  } else {
    response.writeHead(404).end();
  }
}

async function listen(server: Server, address: Address): Promise<void> {
  if ("path" in address && (await isAbandoned(address.path))) rmSync(address.path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    if ("path" in address) server.listen({ ...address, readableAll: false, writableAll: false }, resolve);
    else server.listen(address, resolve);
  });
}

/** A socket whose listener was killed. */
async function isAbandoned(path: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const attempt = connect(path, () => {
      attempt.destroy();
      resolve(false);
    });
    attempt.once("error", (error) => resolve(isSystemError(error) && error.code === "ECONNREFUSED"));
  });
}

function shown(address: Address, server: Server): string {
  if ("path" in address) return `unix:${address.path}`;
  const { address: host, port, family } = server.address() as AddressInfo;
  return `http://${family === "IPv6" ? `[${host}]` : host}:${port}/metrics`;
}
