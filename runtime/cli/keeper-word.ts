/** argv[1] of an exec keeper (keeper.ts): the word that runtime/main.ts looks for, without loading the rest. */
export const KEEPER_WORD = "exec-keeper";
