const LONGEST = 4096;

/** Text from the guest, safe to print on a terminal: no control characters, bounded. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what it removes
  return text.slice(0, LONGEST).replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
}
