#!/bin/sh
# Removes what install.sh has installed. usage: uninstall.sh PREFIX
set -eu
prefix=$1
for command in "$prefix"/lib/caisson/bin/*; do
  [ -e "$command" ] || continue
  link=$prefix/bin/${command##*/}
  if [ -L "$link" ]; then rm -f "$link"; fi
done
rm -rf "$prefix/lib/caisson"
rm -f "$prefix"/share/man/man8/caisson.8 "$prefix"/share/man/man8/caisson-*.8 \
  "$prefix/share/bash-completion/completions/caisson"
echo "Removed Caisson from $prefix."
