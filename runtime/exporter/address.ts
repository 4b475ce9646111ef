import { isIP } from "node:net";
import { CaissonError } from "../../protocol/errors.ts";

/** Where the exporter listens. */
export type Address = { path: string } | { host: string; port: number };

/** `unix:PATH`, `ADDRESS:PORT` or `[ADDRESS]:PORT`. Throws CAISSON_E_USAGE. */
export function parseAddress(text: string): Address {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (path.startsWith("/")) return { path };
    throw wrong(text, "the path of a socket must be absolute");
  }
  const [, six, four, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = six ?? four ?? "";
  const port = Number(digits);
  if (isIP(host) === 0) throw wrong(text, "there is no IP address before its port");
  if (port > 65_535) throw wrong(text, "the largest port is 65535");
  return { host, port };
}

/** Whether only this host can reach it. */
export function isLocal(address: Address): boolean {
  return "path" in address || /^(127\.|::1$)/.test(address.host);
}

function wrong(text: string, why: string): CaissonError {
  return new CaissonError("CAISSON_E_USAGE", `--listen "${text}": ${why}`, {
    remedy: "give unix:/run/caisson-monitor.sock, 127.0.0.1:9911 or [::1]:9911",
  });
}
