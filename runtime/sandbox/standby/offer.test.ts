import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { askForOffer, makeOffer, type Offer } from "./offer.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-offer-"));
after(() => rmSync(folder, { recursive: true }));

const forever = new AbortController().signal;
const OFFER: Offer = {
  pid: 1,
  machine: {
    ...{ pid: 2, leashPid: 3, leash: 4, stderr: 5, qmp: 6, console: 7 },
    agent: { kind: "vsock", cid: 8 },
  },
  share: { pid: 1, directory: "/share" },
  network: { namespace: 9, taps: [] },
};

test("makeOffer gives what it has to the first who asks, and to nobody else", async () => {
  const path = join(folder, "taken");
  let handed = 0;
  const made = makeOffer(
    path,
    () => {
      handed += 1;
      return OFFER;
    },
    forever,
  );
  const [first, second] = await Promise.all([askForOffer(path), askForOffer(path)]);
  const open = first ?? second;
  assert.ok((first === undefined) !== (second === undefined));
  assert.deepEqual(open?.offer, OFFER);
  open?.accept();
  assert.equal(await made, true);
  assert.equal(handed, 1);
  assert.ok(!existsSync(path));
});

test("makeOffer tells when what was asked for was not accepted", async () => {
  const path = join(folder, "refused");
  const made = makeOffer(path, () => OFFER, forever);
  const open = await askForOffer(path);
  open?.[Symbol.dispose]();
  assert.equal(await made, false);
});

test("makeOffer ends when it is aborted", async () => {
  const path = join(folder, "aborted");
  const abort = new AbortController();
  const made = makeOffer(path, () => OFFER, abort.signal);
  abort.abort();
  assert.equal(await made, false);
  assert.ok(!existsSync(path));
  assert.equal(await makeOffer(path, () => OFFER, abort.signal), false);
});

test("askForOffer returns undefined where nobody is", async () => {
  assert.equal(await askForOffer(join(folder, "absent")), undefined);
});
