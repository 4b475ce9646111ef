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

# How it ends does not matter.
run() {
  CAISSON_COMPILING=1 timeout -k 1 10 "$node" "$folder/caisson.cjs" "$@" </dev/null >/dev/null 2>&1 || true
}

rm -f "$folder"/*.cjs.compiled
mkdir "$work/rootfs"
printf 'accelerator = "tcg"\nkernel = "/none"\n' >"$work/config.toml"
run caisson spec -b "$work"
sed -i 's/"terminal": true/"terminal": false/' "$work/config.json"
for verb in "run -b $work none" "exec none true" "list" "delete none"; do
  # shellcheck disable=SC2086 # words; mktemp's names have no spaces
  run caisson --root "$work/state" --config "$work/config.toml" $verb
done
run caisson template --help
run caisson metrics --help
run containerd-shim-caisson-v2 -namespace none -id none -address none -bundle "$work" delete
# A log that cannot be opened ends it.
run shim-daemon "{\"log\":\"$work\"}"
