#!/bin/sh
# Puts Caisson on a Kubernetes node, or takes it away again. Runs in the installer DaemonSet's container, with the node's
# root mounted at $HOST. usage: install-node.sh install|remove. Both may be repeated.
set -eu
HOST=${HOST:-/host}
FILES=${FILES:-/caisson}
DEPLOY=${DEPLOY:-/deploy}
home=/opt/caisson
shim=/usr/local/bin/containerd-shim-caisson-v2
drop_in=/etc/containerd/conf.d/caisson.toml
config=/etc/containerd/config.toml

fail() {
  echo "caisson-installer: $*" >&2
  exit 1
}

on_node() {
  chroot "$HOST" /usr/bin/env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

restart_containerd() {
  # systemctl talks to the node's systemd through the socket below its root.
  on_node systemctl restart containerd || fail "containerd could not be restarted; look at journalctl -u containerd on the node"
}

install_caisson() {
  on_node sh -c 'command -v qemu-system-x86_64' >/dev/null ||
    fail "the node has no qemu-system-x86_64: install QEMU 7.2 or later on it (Debian: apt-get install qemu-system-x86)"
  on_node sh -c 'ls /usr/libexec/virtiofsd /usr/lib/qemu/virtiofsd /usr/lib/virtiofsd 2>/dev/null | grep -q .' ||
    fail "the node has no virtiofsd: install it (Debian 13: apt-get install virtiofsd; Debian 12 has it with QEMU)"
  version=$(on_node containerd --version | sed -n 's/.* v\{0,1\}\([0-9][0-9]*\)\.[0-9].*/\1/p')
  [ -f "$DEPLOY/caisson-${version:-none}.toml" ] || fail "the node's containerd is of a version that is not known: ${version:-none}"
  # Renamed into place: a shim that starts meanwhile finds either the old files or the new ones.
  rm -rf "$HOST$home.new"
  mkdir -p "$HOST/opt" "$HOST/usr/local/bin" "$HOST$(dirname "$drop_in")"
  cp -R "$FILES" "$HOST$home.new"
  rm -rf "$HOST$home.old"
  [ ! -d "$HOST$home" ] || mv "$HOST$home" "$HOST$home.old"
  mv "$HOST$home.new" "$HOST$home"
  rm -rf "$HOST$home.old"
  ln -sfn "$home/bin/containerd-shim-caisson-v2" "$HOST$shim"
  ln -sfn "$home/bin/caisson" "$HOST/usr/local/bin/caisson"
  if [ -f "$HOST$config" ] && ! grep -q '^imports *=.*conf\.d' "$HOST$config"; then
    fail "$config on the node does not import the files of conf.d: add imports = [\"/etc/containerd/conf.d/*.toml\"] to it"
  fi
  [ -f "$HOST$config" ] ||
    printf 'version = %s\nimports = ["/etc/containerd/conf.d/*.toml"]\n' "$((version + 1))" >"$HOST$config"
  if ! cmp -s "$DEPLOY/caisson-$version.toml" "$HOST$drop_in"; then
    cp "$DEPLOY/caisson-$version.toml" "$HOST$drop_in"
    restart_containerd
  fi
  on_node caisson check || fail "containers cannot run on this node; what is missing stands above"
  echo "caisson-installer: installed"
}

remove_caisson() {
  if [ -f "$HOST$drop_in" ]; then
    rm "$HOST$drop_in"
    restart_containerd
  fi
  # Templates that were made from the image, with their fork servers.
  rm -rf "$HOST$home/out/image"
  [ ! -x "$HOST$home/bin/caisson" ] || on_node caisson template rm --stale || true
  rm -rf "$HOST$home" "$HOST$shim" "$HOST/usr/local/bin/caisson"
  echo "caisson-installer: removed"
}

case ${1:-install} in
  install) install_caisson ;;
  remove) remove_caisson ;;
  *) fail "usage: install-node.sh install|remove" ;;
esac
# The DaemonSet's pod stays, so that it shows as installed.
[ "${STAY:-no}" = no ] || exec sleep 2147483647
