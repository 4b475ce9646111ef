#!/bin/sh
# Installs the Debian package with apt in a root file system of a release that has nothing but apt, runs it there, and removes it again.
# usage: package.sh RELEASE FOLDER PACKAGE   the folder holds the root while this runs
set -eu
cd "$(dirname "$0")/../.."
release=$1
root=$2/caisson-package-$release
trap 'rm -rf --one-file-system "$root"' EXIT
scripts/step.sh "make a bare root of $release" test/release/root.sh "$release" "$root" apt
cp "$3" "$root/root/caisson.deb"
cp /bin/busybox "$root/root/busybox"
# shellcheck disable=SC2016 # expanded in there
scripts/step.sh "install, run and remove the package on $release" test/release/enter.sh "$root" sh -euc '
  ours() { find /usr /etc /var /run /dev/shm /opt -path "*/caisson*" | sort; }
  cd /tmp
  apt-get update -q
  ours >before
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends /root/caisson.deb
  for program in gcc npm node; do
    if command -v "$program"; then echo "a machine without $program is meant"; exit 1; fi
  done
  ls /usr/lib/caisson/out/daemon.cjs.compiled
  caisson --version
  caisson help
  caisson spec
  caisson features
  # A VM, booted, then cloned: its kernel is the image'"'"'s.
  mkdir -p bundle/rootfs/bin
  cp /root/busybox bundle/rootfs/bin/uname
  caisson spec --bundle bundle
  sed -i -e "s/\"terminal\": true/\"terminal\": false/" -e "s/\"sh\"/\"uname\", \"-r\"/" bundle/config.json
  caisson check
  for id in booted cloned; do
    caisson run --bundle bundle $id | tee release
    grep -q "\"kernelRelease\": \"$(cat release)\"" /usr/lib/caisson/out/image/manifest.json
  done
  caisson template list
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --reinstall /root/caisson.deb
  caisson --version
  apt-get remove -q -y caisson
  ours | diff before -
  dpkg --purge caisson
  ours | diff before -
'
