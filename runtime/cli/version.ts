import { OCI_VERSION } from "../../protocol/oci.ts";

declare const CAISSON_VERSION: string | undefined;

/** The version of package.json; outside a bundle, where nothing defines it, a word that is no version. */
export const VERSION: string = typeof CAISSON_VERSION === "string" ? CAISSON_VERSION : "development";

/** What `--version` prints, in runc's form, which engines read. */
export function versionText(): string {
  return [`caisson version ${VERSION}`, `spec: ${OCI_VERSION}`, `node: ${process.version}`].join("\n");
}
