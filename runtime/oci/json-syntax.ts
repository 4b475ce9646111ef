/**
 * Finds where a JSON text breaks the grammar (RFC 8259). JSON.parse is faster but its message has no position for
 * short texts, and none of its messages is a stable interface.
 */

export interface SyntaxProblem {
  /** Counted from 1; the column in characters. */
  line: number;
  column: number;
  /** What was there instead of what: `expected "," or "}", found "x"`. */
  message: string;
}

/** Nothing when the text is well-formed. */
export function findSyntaxProblem(text: string): SyntaxProblem | undefined {
  const broken = new Scanner(text).scan();
  if (broken === undefined) return undefined;
  const before = text.slice(0, broken.at);
  const lineStart = before.lastIndexOf("\n") + 1;
  return {
    line: before.split("\n").length,
    column: broken.at - lineStart + 1,
    message: `expected ${broken.expected}, found ${found(text, broken.at)}`,
  };
}

interface Broken {
  at: number;
  expected: string;
}

const SPACE = /[ \t\n\r]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them unescaped
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const STRING_START = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** Keeps the open brackets in a list, not on the call stack: nesting is as deep as the text is long. */
class Scanner {
  readonly #text: string;
  #at = 0;
  readonly #open: ("}" | "]")[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  scan(): Broken | undefined {
    for (;;) {
      const inside = this.#value();
      if (inside === "opened") continue;
      if (inside !== undefined) return inside;
      const after = this.#afterValue();
      if (after === "end") return undefined;
      if (after !== undefined) return after;
    }
  }

  /** Reads a value, or up to where the first value of an array or object begins. */
  #value(): Broken | "opened" | undefined {
    this.#match(SPACE);
    const next = this.#text[this.#at];
    if (next === '"') return this.#string();
    if (next !== "{" && next !== "[") return this.#match(SCALAR) ? undefined : this.#broken("a value");
    this.#at++;
    this.#match(SPACE);
    const close = next === "{" ? "}" : "]";
    if (this.#text[this.#at] === close) {
      this.#at++;
      return undefined;
    }
    this.#open.push(close);
    return next === "[" ? "opened" : (this.#key('a property name in quotes or "}"') ?? "opened");
  }

  /** Reads closing brackets and the comma (and key) before the next value. */
  #afterValue(): Broken | "end" | undefined {
    for (;;) {
      this.#match(SPACE);
      const close = this.#open.at(-1);
      const next = this.#text[this.#at];
      if (close === undefined) return next === undefined ? "end" : this.#broken("the end of the document");
      if (next !== "," && next !== close) return this.#broken(`"," or "${close}"`);
      this.#at++;
      if (next === ",") return close === "}" ? this.#key("a property name in quotes") : undefined;
      this.#open.pop();
    }
  }

  #key(expected: string): Broken | undefined {
    this.#match(SPACE);
    if (this.#text[this.#at] !== '"') return this.#broken(expected);
    const broken = this.#string();
    if (broken !== undefined) return broken;
    this.#match(SPACE);
    if (this.#text[this.#at] !== ":") return this.#broken('":"');
    this.#at++;
    return undefined;
  }

  #string(): Broken | undefined {
    if (this.#match(STRING)) return undefined;
    this.#match(STRING_START);
    return this.#broken(this.#text[this.#at] === "\\" ? "a known escape sequence" : "the closing quote of a string");
  }

  #match(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    const matched = pattern.test(this.#text);
    if (matched) this.#at = pattern.lastIndex;
    return matched;
  }

  #broken(expected: string): Broken {
    return { at: this.#at, expected };
  }
}

function found(text: string, at: number): string {
  const rest = text.slice(at, at + 20);
  if (rest === "") return "the end of the file";
  return JSON.stringify(/^[\w.+-]+/.exec(rest)?.[0] ?? rest[0]);
}
