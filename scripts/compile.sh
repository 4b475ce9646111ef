#!/bin/sh
# Keeps what V8 compiles of the program's bundles beside them (runtime/process/code-cache.ts): what processes that have loaded a bundle have
# compiled when they end, which are verbs, the shim's daemon, which nobody asks for anything, and one whose container comes as far as a VM can
# without a kernel. A daemon needs root; without it, more is compiled anew each time.
# The compiled form differs from run to run, so no package has it: an installation makes its own.
# usage: compile.sh NODE FOLDER   the folder with caisson.cjs
set -eu
node=$(realpath "$1")
folder=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shellcheck disable=SC2016 # The quotes are JavaScript's.
DAEMON='
  const fs = require("node:fs");
  const fields = fs.readFileSync("/proc/self/stat", "latin1").split(") ")[1].split(" ");
  const bootId = fs.readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  const daemon = { pid: process.pid, startTime: Number(fields[19]), bootId };
  const container = { id: "some", status: "created", bundle: process.argv[2], rootfs: "/", created: new Date(), owner: "", cgroup: "/" };
  process.chdir(process.argv[1]);
  fs.writeFileSync("state.json", JSON.stringify({ format: 1, ...container, daemon }));
  require("node:net").createServer((client) => client.on("data", (line) => {
    const { id, verb } = JSON.parse(line);
    client.write(JSON.stringify({ id, result: { execId: "e", pid: 1, exitCode: 0 } }) + "\n");
    if (verb === "shutdown") setTimeout(() => process.exit(), 10);
  })).listen("control.sock");'

# How it ends does not matter.
run() {
  CAISSON_COMPILING=1 timeout -k 1 10 "$node" "$folder/caisson.cjs" "$@" </dev/null >/dev/null 2>&1 || true
}

# Not the agent's: that is a part of the guest image, and the same each time.
find "$folder" -maxdepth 1 -name '*.cjs.compiled' ! -name 'agent-*' -delete
mkdir "$work/rootfs"
printf 'accelerator = "tcg"\nkernel = "/none"\n' >"$work/config.toml"
run caisson spec -b "$work"
sed -i 's/"terminal": true/"terminal": false/' "$work/config.json"
for verb in "run -b $work none" "exec none true" "list" "delete none"; do
  # shellcheck disable=SC2086 # words; mktemp's names have no spaces
  run caisson --root "$work/state" --config "$work/config.toml" $verb
done
# What a verb does with a container: one that was created, and whose daemon answers whatever it is asked until it is to end.
mkdir -p "$work/state/some"
"$node" -e "$DAEMON" "$work/state/some" "$work" &
daemon=$!
while kill -0 "$daemon" 2>/dev/null && ! [ -e "$work/state/some/control.sock" ]; do sleep 0.02; done
for verb in "state some" "start some" "kill some" "exec some true" "delete some"; do
  # shellcheck disable=SC2086 # words
  run caisson --root "$work/state" $verb
done
kill -9 "$daemon" 2>/dev/null || true
run caisson template --help
run caisson metrics --help
run containerd-shim-caisson-v2 -namespace none -id none -address none -bundle "$work" delete
# A log that cannot be opened ends it.
run shim-daemon "{\"log\":\"$work\"}"
