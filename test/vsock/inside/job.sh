#!/bin/sh
# Runs in the outer VM: settings for a host this slow, its KVM trusted, then the test files that are named.
set -eu
# The port that the output goes to is a terminal to those who ask.
export NO_COLOR=1
mkdir -p /etc/caisson
cat >/etc/caisson/config.toml <<'SETTINGS'
memory_mib = 384
boot_timeout_seconds = 300
SETTINGS
modprobe kvm halt_poll_ns=0
ip link set lo up
modprobe -a kvm_amd vhost_vsock vhost_net tun veth bridge
# A guest's memory in large pages: each that is missing in a nested page table costs an exit, and those are dear here.
echo advise >/sys/kernel/mm/transparent_hugepage/shmem_enabled
mount -o remount,huge=advise /dev/shm
mount -o remount,huge=advise /run
out/node test/vsock/inside/trust-kvm.ts
bin/caisson template build
echo "a template has been made $(cut -d ' ' -f 1 /proc/uptime) s after the start"
bin/caisson check
out/node --test --test-concurrency=1 --test-timeout=1200000 --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=./test/tested/results.ts --test-reporter-destination=/mnt/results.json "$@"
