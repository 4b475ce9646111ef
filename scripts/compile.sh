#!/bin/sh
# Keeps what V8 compiles of the program's bundles beside them (runtime/process/code-cache.ts): what processes that have loaded a bundle have
# compiled when they end, which are verbs, and daemons whose container comes as far as a VM can without a kernel. A daemon needs root;
# without it, more is compiled anew each time.
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

# Messages of protobuf, all fields of which are strings or messages.
# shellcheck disable=SC2016 # The quotes are JavaScript's.
MESSAGES='
  const message = (fields) => Buffer.concat(Object.entries(fields).flatMap(([field, value]) => {
    const bytes = Buffer.from(value);
    return [Buffer.of(field * 8 + 2, (bytes.length & 127) | 128, bytes.length >> 7), bytes];
  }));
  const optionsOf = (config) => message({ 1: "runtimeoptions.v1.Options", 2: message({ 2: config }) });'
# Asks a pod's daemon for a container, and to end, as containerd does (ttrpc).
# shellcheck disable=SC2016 # The quotes are JavaScript's.
CALLER='
  const [address, bundle, config] = process.argv.slice(1);
  const socket = require("node:net").connect(address.replace("unix://", ""));
  const call = (stream, method, payload) => {
    const data = message({ 1: "containerd.task.v2.Task", 2: method, 3: message(payload) });
    const head = Buffer.alloc(10);
    head.writeUInt32BE(data.length, 0);
    head.writeUInt32BE(stream, 4);
    head[8] = 1;
    socket.write(Buffer.concat([head, data]));
  };
  call(1, "Create", { 1: "none", 2: bundle, 10: optionsOf(config) });
  socket.once("data", () => call(3, "Shutdown", { 1: "none" }));'

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
"$node" -e "$MESSAGES process.stdout.write(optionsOf(process.argv[1]))" "$work/config.toml" >"$work/options"
if address=$(cd "$work" && CAISSON_COMPILING=1 timeout -k 1 10 "$folder/native/shim-start" "$node" "$folder/caisson.cjs" containerd-shim-caisson-v2 \
  -namespace none -id none -address "$work" start <"$work/options" 2>/dev/null); then
  timeout -k 1 10 "$node" -e "$MESSAGES$CALLER" "$address" "$work" "$work/config.toml" || true
  # It writes what it has compiled when it ends.
  tries=0
  while [ "$tries" -lt 200 ] && ! [ -e "$folder/shim-daemon.cjs.compiled" ]; do
    sleep 0.02
    tries=$((tries + 1))
  done
fi
