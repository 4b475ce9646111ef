/** Tells the program that it is a pod's daemon; its parameters follow as JSON. */
export const SHIM_DAEMON_WORD = "shim-daemon";

/** The name that containerd starts shims by: runtime `io.containerd.caisson.v2`. */
export const SHIM_NAME = "containerd-shim-caisson-v2";

export interface ShimDaemonParams {
  /** containerd's own socket, its namespace, and the pod or container: what the paths are made of. */
  address: string;
  namespace: string;
  group: string;
  /** containerd's ttrpc socket, for events. */
  ttrpcAddress: string;
  /** The bundle of the container that the daemon was started for. */
  bundle: string;
  /** The runtime's options as containerd gave them: an Any in base64; empty for none. */
  options: string;
  /** The file that containerd reads shims' logs from; standard error when missing. */
  log: string | undefined;
  debug: boolean;
}
