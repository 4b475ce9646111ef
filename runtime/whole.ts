/** What starts VMs for others than the daemon: the holder of a VM that stands by, and the command line with the verbs that do. */
export { main } from "./cli/main.ts";
export { holdStandby } from "./sandbox/standby/hold.ts";
