/** What starts VMs for others than the daemon: the maker of fork servers, and the command line with the verbs that do. */
export { main } from "./cli/main.ts";
export { makeForkServer } from "./factory/fork-server/maker/make.ts";
export { makeSnapshot, TRIED } from "./snapshot/make.ts";
