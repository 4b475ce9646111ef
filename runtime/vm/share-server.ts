/** The process that serves the shared directory to one VM (runtime/storage/virtiofsd). */
export interface ShareServer {
  /** The pids of the server and of what it has forked, for their cgroup. */
  pids(): number[];
  /** The server's vhost-user connection; whoever uses it takes it over and closes it. */
  readonly connection: number;
  /** Resolves, never rejects, when it is gone, with how that came about as the end of a sentence: "was killed by SIGKILL". */
  readonly ended: Promise<string>;
  /** Ends it if it still runs, and waits for that. May be called again. */
  kill(): Promise<void>;
}
