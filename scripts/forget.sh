#!/bin/sh
# Removes what an installation that is about to go has made on this host: the templates of its guest image, their fork servers, and
# what containers leave empty. usage: forget.sh HOME   the folder with bin/ and out/
set -eu
home=$1
image=$home/out/image
if [ -x "$home/bin/caisson" ] && [ -d "$image" ]; then
  # While the image is away, its templates are stale.
  mv "$image" "$image.away"
  trap 'mv "$image.away" "$image"' EXIT
  timeout -k 5 120 "$home/bin/caisson" template rm --stale ||
    echo "Templates are left, and go with the next boot of this machine." >&2
fi
"$(dirname "$0")/forget-snapshot.sh" "$home"
# What is known of the host, once nobody has templates or snapshots; and no VM a user of its own, which is a lock on a byte of that list.
uids=$(stat -c %i /run/caisson-vm/uids 2>/dev/null || echo none)
for folder in /run/caisson-vm /dev/shm/caisson-vm; do
  if [ "$folder" = /run/caisson-vm ] && grep -q ":$uids [0-9]" /proc/locks; then continue; fi
  if [ -z "$(find "$folder/templates" "$folder/snapshots" -mindepth 1 ! -name '.*' -print -quit 2>/dev/null)" ]; then rm -rf "$folder"; fi
done
for folder in /run/caisson /run/caisson-shim /sys/fs/cgroup/caisson /sys/fs/cgroup/*/caisson /sys/fs/cgroup/caisson-fork-server /sys/fs/cgroup/*/caisson-fork-server; do
  rmdir "$folder" 2>/dev/null || true
done
for folder in /run/caisson /run/caisson-shim; do
  [ ! -d "$folder" ] || echo "Containers are left in $folder: they go on, and only an installation of Caisson can stop them." >&2
done
