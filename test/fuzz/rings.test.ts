import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzzRings } from "./rings.ts";

/** As many as take a second or two; `make fuzz` does more. */
const RINGS = 10_000;

for (const race of [false, true]) {
  test(`vhost-proxy outlives mutated rings${race ? " that change while they are read" : ""}, and writes only what they offer`, () => {
    const [, carried, refused] = /(\d+) requests carried, (\d+) rings refused/.exec(fuzzRings(1, RINGS, race)) ?? [];
    assert.ok(Number(carried) > RINGS && Number(refused) > RINGS / 10, `${carried} carried, ${refused} refused`);
  });
}
