#!/bin/sh
# Removes what install.sh has installed. usage: uninstall.sh PREFIX
set -eu
prefix=$1
home=$prefix/lib/caisson
for command in "$home"/bin/*; do
  [ -e "$command" ] || continue
  link=$prefix/bin/${command##*/}
  if [ -L "$link" ]; then rm -f "$link"; fi
done
"$(dirname "$0")/forget.sh" "$home"
made=$(tac "$home/folders" 2>/dev/null || true)
rm -rf "$home" "$prefix/share/doc/caisson"
rm -f "$prefix"/share/man/man8/caisson.8 "$prefix"/share/man/man8/caisson-*.8 \
  "$prefix/share/bash-completion/completions/caisson"
# Folders that install.sh has made, the innermost first, unless there is something of others in them.
printf '%s\n' "$made" | while read -r folder; do
  case $folder in /*) rmdir "$prefix$folder" 2>/dev/null || true ;; esac
done
echo "Removed Caisson from $prefix."
