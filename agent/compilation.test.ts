import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { compileAll, compileWhatRunsForLong } from "./compilation.ts";
import { V8_FLAGS } from "./compiled.ts";

setFlagsFromString("--allow-natives-syntax");
/** Whether V8 has machine code of the function's own (runtime.h, OptimizationStatus: kOptimized, kBaseline). */
const isCompiled = new Function("f", "return (%GetOptimizationStatus(f) & ((1 << 4) | (1 << 15))) !== 0");

let made = 0;

/** What V8 knows of one is not another's, since their sources differ. */
function make(): (a: number) => number {
  made++;
  return new Function("a", `let sum = ${made}; for (let i = 0; i < 3; i++) sum += a * i; return sum;`) as (
    a: number,
  ) => number;
}

function call(what: (a: number) => number, times: number): void {
  for (let time = 0; time < times; time++) what(time);
}

test("what is called some times is compiled between compileAll() and compileWhatRunsForLong(), and stays so", () => {
  for (const flag of V8_FLAGS) setFlagsFromString(flag);
  const [early, both, late] = [make(), make(), make()];
  call(early, 40);
  call(both, 10);
  assert.ok(!isCompiled(early), "before");
  compileAll();
  call(both, 40);
  assert.ok(isCompiled(both), "between");
  compileWhatRunsForLong();
  call(late, 100);
  assert.ok(isCompiled(both) && !isCompiled(late), "afterwards");
});
