#!/bin/sh
# Runs in the outer VM: the main job over its vhost_vsock and vhost_net, under its (emulated) KVM. Exits with 0 when all of it holds.
set -eu
project=$PWD
bundle=/tmp/bundle
state=/run/caisson

say() {
  echo "$(cut -d ' ' -f 1 /proc/uptime) s: $*"
}

fail() {
  say "failed: $*"
  cat /tmp/log.txt 2>/dev/null || true
  exit 1
}

# expect STATUS OUTPUT COMMAND...: runs a command that must end with the status and print exactly the output.
expect() {
  wanted=$1 text=$2
  shift 2
  status=0
  output=$("$@") || status=$?
  [ "$status" = "$wanted" ] || fail "$*: exit status $status, not $wanted; printed: $output"
  [ "$output" = "$text" ] || fail "$*: printed '$output', not '$text'"
  say "$*"
}

caisson() {
  "$project/bin/caisson" --config /tmp/config.toml --log /tmp/log.txt "$@"
}

# make_bundle COMMAND: a bundle whose process runs the shell command.
make_bundle() {
  rm -rf "$bundle"
  mkdir -p "$bundle/rootfs/bin"
  cp /bin/busybox "$bundle/rootfs/bin/"
  for applet in sh cat uname sleep sha256sum; do ln -s busybox "$bundle/rootfs/bin/$applet"; done
  caisson spec --bundle "$bundle"
  sed -i -e 's/"terminal": true/"terminal": false/' -e "s/^\(\s*\)\"sh\"\$/\1\"sh\", \"-c\", \"$1\"/" "$bundle/config.json"
  grep -q '"-c"' "$bundle/config.json" || fail "caisson spec wrote a config.json of another form than this script expects"
}

expect_nothing_left() {
  left=$(find "$state" -mindepth 1 -maxdepth 1 ! -name host ! -name templates)
  [ -z "$left" ] || fail "left behind in $state: $left"
  # shellcheck disable=SC2009
  left=$(ps -e -o args= | grep -E 'qemu-system|sandbox-daemon|make-fork-server' | grep -v grep || true)
  [ -z "$left" ] || fail "left running: $left"
  ! grep -q caisson-share /proc/mounts || fail "left mounted: $(grep caisson-share /proc/mounts)"
}

modprobe -a vhost_vsock vhost_net tun veth sch_ingress cls_u32 act_mirred kvm_amd
cat >/tmp/config.toml <<'CONFIG'
memory_mib = 384
boot_timeout_seconds = 300
template = "off"
CONFIG
out/node test/vsock/trust-kvm.ts /tmp/config.toml
caisson check
caisson check | grep -q 'kvm will be used' || fail "accelerator auto did not choose KVM"
caisson check | grep -q 'vsock will be used' || fail "transport auto did not choose vsock"

make_bundle "cat; echo to stderr >\&2; exit 3"
run_with_input() { echo over vsock | caisson run --bundle "$bundle" "$1" 2>/tmp/stderr; }
expect 3 "over vsock" run_with_input booted
expect 0 "to stderr" cat /tmp/stderr
expect_nothing_left

# The first run takes the template, a machine that has spoken over vsock, and is a clone of it like the second.
sed -i 's/template = "off"/template = "on"/' /tmp/config.toml
expect 3 "over vsock" run_with_input first
! grep -q 'no template' /tmp/log.txt || fail "no template was made"
expect 3 "over vsock" run_with_input second
expect_nothing_left

# A wire from here to the container (ip-netns(8)).
host=192.168.10.100 address=192.168.10.101
ip netns add pod
ip link add far type veth peer name eth0 netns pod
ip addr add "$host/24" dev far
ip link set far up
ip -n pod addr add "$address/24" dev eth0
ip -n pod link set eth0 up

make_bundle "sleep 1000"
sed -i 's|"type": "network"|"type": "network", "path": "/run/netns/pod"|' "$bundle/config.json"
grep -q '"path": "/run/netns/pod"' "$bundle/config.json" || fail "caisson spec wrote no network namespace"
caisson create --bundle "$bundle" longer </dev/null >/dev/null 2>&1 || fail "create: exit status $?"
say "created"
# shellcheck disable=SC2009
ps -e -o args= | grep -q 'vhost-vsock-device,.*guest-ci[d]=' || fail "QEMU has no vhost-vsock device"
find "/proc/$(pgrep -o qemu-system)/fd" -lname /dev/vhost-net | grep -q . || fail "QEMU has no vhost-net"
expect 0 "" caisson start longer
busybox ping -q -c 3 -W 20 "$address" || fail "the container does not answer"
say "ping $address"
head -c 4194304 /dev/urandom >/tmp/data
hash_in_container() { caisson exec longer sha256sum </tmp/data; }
expect 0 "$(sha256sum </tmp/data)" hash_in_container
copy_out_of_container() { caisson exec longer cat </tmp/data | sha256sum; }
expect 0 "$(sha256sum </tmp/data)" copy_out_of_container
expect 0 "" caisson delete --force longer
expect_nothing_left
! tc -n pod qdisc show | grep ingress || fail "left in the network namespace"

say "all done"
