#!/bin/bash
# Runs a command in a root file system as on a machine of its own: / is a mount point, and /dev/shm, /run, /tmp, mounts and
# processes are its own; the kernel, its cgroups and the network are this machine's. All of it ends with the command.
# usage: enter.sh ROOT COMMAND [ARG ...]
set -euo pipefail
root=$1
shift
if [ "${CAISSON_ENTERED:-}" != "$root" ]; then
  exec env CAISSON_ENTERED="$root" unshare --mount --propagation private --pid --fork --kill-child "$0" "$root" "$@"
fi
unset CAISSON_ENTERED
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
# With cgroup v1 there is a tmpfs above the hierarchies, in which podman 5.8 makes folders for those that are not mounted; they would stay.
if [ "$(stat --file-system --format=%T /sys/fs/cgroup)" = tmpfs ]; then
  umount --recursive "$root/sys/fs/cgroup"
  mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
  for hierarchy in /sys/fs/cgroup/*; do
    mkdir "$root$hierarchy"
    mount --rbind "$hierarchy" "$root$hierarchy"
  done
fi
mount -t devtmpfs dev "$root/dev"
mkdir -p "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount --bind "$root/dev/pts/ptmx" "$root/dev/ptmx"
for folder in dev/shm run tmp; do mount -t tmpfs -o mode=1777 tmpfs "$root/$folder"; done
chmod 755 "$root/run"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
cd "$root"
mkdir -p mnt
pivot_root . mnt
umount -l /mnt
# Orphans of daemons become children of this process, which has to bury them: bash does so while it waits.
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TMPDIR=/tmp
"$@" </dev/null
