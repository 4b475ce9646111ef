#!/bin/sh
# Installs what make has built. usage: install.sh PREFIX
# Everything lives below PREFIX/lib/caisson; the commands in PREFIX/bin are links into it.
set -eu
cd "$(dirname "$0")/.."
prefix=$1
home=$prefix/lib/caisson

# The folders that are made here are kept in a list, without the prefix: uninstall.sh removes no others.
made=
folder() {
  [ ! -d "$prefix$1" ] || return 0
  case $1 in ?*) folder "${1%/*}" ;; esac
  mkdir -p "$prefix$1"
  made="$made$1/
"
}
for each in /bin /lib /share/man/man8 /share/bash-completion/completions /share/doc; do folder "$each"; done
install -d "$home/bin" "$home/out/native" "$home/out/image"
printf %s "$made" >>"$home/folders"
for command in bin/*; do
  install -m 755 "$command" "$home/$command"
  ln -sfn "../lib/caisson/$command" "$prefix/$command"
done
install -m 755 out/node "$home/out/node"
rm -f "$home"/out/*.cjs.compiled
scripts/forget-snapshot.sh "$home"
# Named one by one: out/ may have what an older checkout has built.
for bundle in caisson cli quick exec daemon operator vm-starters shim shim-daemon; do install -m 644 "out/$bundle.cjs" "$home/out/"; done
for bundle in cli quick exec daemon operator vm-starters shim shim-daemon; do install -m 644 "out/$bundle.cjs.compiled" "$home/out/"; done
for library in posix.node vsock.node seccomp.node snapshot.node fork-server.so boot-memory.so template-memory.so vhost-proxy.so share-rights.so; do
  install -m 644 "out/native/$library" "$home/out/native/"
done
install -m 755 out/native/container-init out/native/jail out/native/launch out/native/restore out/native/shim-start out/native/placeholder "$home/out/native/"
install -m 644 out/image/* "$home/out/image/"
# A package's scripts, and whoever has no checkout, set up and remove with these.
install -m 755 scripts/compile.sh scripts/forget.sh scripts/forget-snapshot.sh scripts/uninstall.sh "$home/"
install -m 644 LICENSE "$home/LICENSE"
for page in out/man/*.8; do install -m 644 "$page" "$prefix/share/man/man8/"; done
install -m 644 deploy/completion/caisson.bash "$prefix/share/bash-completion/completions/caisson"
doc=$prefix/share/doc/caisson
rm -rf "$doc"
install -d "$doc/docs" "$doc/deploy"
install -m 644 README.md CHANGELOG.md "$doc/"
install -m 644 docs/*.md docs/history.svg "$doc/docs/"
cp -R deploy/containerd deploy/cri-o deploy/docker deploy/grafana deploy/kubernetes deploy/podman deploy/systemd deploy/tmpfiles.d "$doc/deploy/"
chmod -R u=rwX,go=rX "$doc"
echo "Installed below $prefix: bin/caisson, lib/caisson, man pages, completion, share/doc/caisson."
