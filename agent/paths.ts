/** Where the agent finds and puts things; the guest's own paths, or a test's. */
export interface AgentPaths {
  /** The mount point of the cgroup v2 hierarchy. */
  cgroupRoot: string;
  /** Holds `share`. */
  runDirectory: string;
  containerInit: string;
}
