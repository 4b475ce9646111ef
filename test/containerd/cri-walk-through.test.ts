/** What every introduction to CRI goes through with crictl: runp, create, start, ps, exec, curl, stop, rm. */
import assert from "node:assert/strict";
import { release } from "node:os";
import { after, before, test } from "node:test";
import { formatError } from "../../runtime/text/errors.ts";
import { until } from "../harness/host.ts";
import type { Cri } from "./cri.ts";
import { Engine, options, whyNot } from "./engine.ts";
import { NGINX_IMAGE, nginxImage } from "./nginx.ts";
import { Pod } from "./pod.ts";
import { nothingRemains } from "./remains.ts";

let engine: Engine;
let cri: Cri;
let whyNoImage: string | undefined;
before(async () => {
  if (whyNot !== undefined) return;
  engine = await Engine.start();
  cri = engine.cri();
  try {
    await engine.import(nginxImage());
  } catch (error) {
    whyNoImage = `there is no image of nginx: ${formatError(error)}`;
  }
});
after(async () => {
  if (whyNot !== undefined) return;
  cri[Symbol.dispose]();
  await engine.stop();
});

interface Listed {
  id: string;
  state: string;
}

async function containers(): Promise<Listed[]> {
  return (await cri.call<{ containers: Listed[] }>("ListContainers", {})).containers;
}

async function pods(): Promise<Listed[]> {
  return (await cri.call<{ items: Listed[] }>("ListPodSandbox", {})).items;
}

test(
  "nginx in a pod: created, started, listed, looked into, and its page fetched from the host",
  options,
  async (t) => {
    if (whyNoImage !== undefined) return t.skip(whyNoImage);
    {
      await using pod = await Pod.run(engine, cri);
      const nginx = await pod.container("nginx", [], { image: { image: NGINX_IMAGE } });
      assert.deepEqual(
        (await pods()).map(({ id, state }) => [id, state]),
        [[pod.id, "SANDBOX_READY"]],
      );
      assert.deepEqual(
        (await containers()).map(({ id, state }) => [id, state]),
        [[nginx, "CONTAINER_RUNNING"]],
      );
      const address = await pod.address();
      assert.match(await pod.sh(nginx, "ip addr"), new RegExp(`eth0.*\n.*link/ether.*\n +inet ${address}/24`));
      assert.notEqual(await pod.sh(nginx, "cat /proc/sys/kernel/osrelease"), release());
      let page = "";
      await until(async () => {
        page = await fetch(`http://${address}/`).then((answer) => answer.text(), String);
        return page.includes("Welcome to nginx!");
      });
      assert.match(
        await pod.sh(nginx, "ps"),
        /nginx: master process nginx -g daemon off;\n(.*\n)*.*nginx: worker process/,
      );
      assert.match(await pod.sh(nginx, "wget -q -O - http://localhost/"), /Welcome to nginx!/);
      await pod.stop(nginx, 60);
      assert.deepEqual(
        (await containers()).map(({ state }) => state),
        ["CONTAINER_EXITED"],
      );
      assert.equal((await pod.status(nginx)).exitCode, 0);
      await pod.remove(nginx);
      assert.deepEqual(await containers(), []);
    }
    assert.deepEqual(await pods(), []);
    await nothingRemains(engine);
  },
);
