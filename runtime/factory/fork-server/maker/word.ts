/** Tells the program that it is to make a fork server; its parameters follow as JSON. */
export const FORK_SERVER_WORD = "make-fork-server";
