#!/bin/sh
# Runs one build step and says what it is and how long it took; the step's own output is shown only when it fails.
# usage: step.sh TITLE COMMAND [ARG ...]
set -eu
title=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
start=$(date +%s%N)
printf '  %-58s ' "$title"
if "$@" >"$log" 2>&1; then
  ms=$((($(date +%s%N) - start) / 1000000))
  printf '%d.%02d s\n' $((ms / 1000)) $((ms % 1000 / 10))
else
  status=$?
  printf 'failed (exit %d)\n' "$status"
  cat "$log" >&2
  exit "$status"
fi
