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
if [ -x "$home/bin/caisson" ]; then
  # Templates that were made from the image, and their fork servers: without it they are of no use to anybody.
  rm -rf "$home/out/image"
  "$home/bin/caisson" template rm --stale || echo "Templates are left, and go with the next boot of this machine." >&2
fi
# What is known of the host, once nobody has templates; what containers leave empty.
for folder in /run/caisson-vm /dev/shm/caisson-vm; do
  if [ -z "$(find "$folder/templates" -mindepth 1 ! -name .lock -print -quit 2>/dev/null)" ]; then rm -rf "$folder"; fi
done
for folder in /run/caisson /run/caisson-shim /sys/fs/cgroup/caisson /sys/fs/cgroup/*/caisson; do
  rmdir "$folder" 2>/dev/null || true
done
made=$(tac "$home/folders" 2>/dev/null || true)
rm -rf "$home"
rm -f "$prefix"/share/man/man8/caisson.8 "$prefix"/share/man/man8/caisson-*.8 \
  "$prefix/share/bash-completion/completions/caisson"
# Folders that install.sh has made, the innermost first, unless there is something of others in them.
printf '%s\n' "$made" | while read -r folder; do
  case $folder in /*) rmdir "$prefix$folder" 2>/dev/null || true ;; esac
done
echo "Removed Caisson from $prefix."
