#!/bin/busybox sh
# shellcheck shell=dash
# PID 1 of the VM that has vhost_vsock. Its root is the host's file system, read-only over 9p, with an overlay on tmpfs
# that takes all writes; /mnt is a folder of the host's that keeps what is written. It runs /script there, or has systemd
# do so; the output goes to the second serial port, its exit status after it.
set -eu
export PATH=/bin:/usr/sbin:/usr/bin:/sbin

fail() {
  echo "init: $1" >/dev/console
  # With -no-reboot this ends QEMU; the missing exit status says that something went wrong.
  busybox reboot -f
}
trap 'fail "a step of init failed"' EXIT

busybox mkdir -p /dev /lower /writable /root
busybox mount -t devtmpfs dev /dev
while read -r module; do
  busybox insmod "/modules/$module"
done </modules/order
# Read-only, and nobody changes what matters while this runs: the guest may cache for good.
busybox mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=524288 host /lower
busybox mount -t tmpfs writable /writable
busybox mkdir /writable/upper /writable/work
busybox mount -t overlay -o lowerdir=/lower,upperdir=/writable/upper,workdir=/writable/work root /root

cd /root
busybox mkdir -p proc sys dev run tmp mnt lib/modules
busybox mount -t proc proc proc
busybox mount -t sysfs sysfs sys
busybox mount --move /dev dev
busybox mkdir -p dev/pts dev/shm
busybox mount -t devpts devpts dev/pts
busybox mount -t tmpfs shm dev/shm
busybox mount -t tmpfs run run
# Unless the project lies below it.
folder=$(busybox cat /folder)
case $folder in /tmp/*) ;; *) busybox mount -t tmpfs tmp tmp ;; esac
busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288 left mnt
# In its usual place, so that modprobe, whoever calls it, finds the running kernel's modules.
busybox mount --bind "/root$(busybox cat /modules/folder)" lib/modules
busybox cp /script /bin/busybox run/

busybox cat >run/start <<'START'
stty -F /dev/ttyS1 raw -echo
cd "$*"
# Shows on the console that the VM has not frozen.
while sleep 10; do echo "up $(cut -d ' ' -f 1 /proc/uptime) s, load $(cut -d ' ' -f 1 /proc/loadavg)"; done >/dev/console &
status=0
setsid -w sh /run/script </dev/null >/dev/ttyS1 2>&1 || status=$?
printf '\nouter-vm: exit status %d\n' "$status" >/dev/ttyS1
# Changing the mode waits until all output has left the port (tcsetattr(3), TCSADRAIN).
stty -F /dev/ttyS1 sane
/run/busybox reboot -f
START
if [ "$(busybox cat /pid1)" = systemd ]; then
  busybox mkdir -p run/systemd/system
  busybox cat >run/systemd/system/outer-vm.target <<'TARGET'
[Unit]
Requires=basic.target dbus.service
Wants=outer-vm.service
After=basic.target dbus.service
AllowIsolate=yes
TARGET
  busybox cat >run/systemd/system/outer-vm.service <<SERVICE
[Unit]
After=basic.target dbus.service
[Service]
Type=oneshot
ExecStart=/bin/sh /run/start $folder
SERVICE
  trap - EXIT
  exec busybox switch_root /root /lib/systemd/systemd
fi
busybox mount -t cgroup2 cgroup2 sys/fs/cgroup
trap - EXIT
exec busybox switch_root /root /bin/sh /run/start "$folder"
