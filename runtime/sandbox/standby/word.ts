/** Tells the program that it is to hold a VM that stands by; its parameters follow as JSON. */
export const STANDBY_WORD = "hold-standby";
