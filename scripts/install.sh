#!/bin/sh
# Installs what make has built. usage: install.sh PREFIX
# Everything lives below PREFIX/lib/caisson; the commands in PREFIX/bin are links into it.
set -eu
cd "$(dirname "$0")/.."
prefix=$1
home=$prefix/lib/caisson

# Those that are made here are kept in a list, without the prefix: uninstall.sh removes no others.
made=
folder() {
  [ ! -d "$prefix$1" ] || return 0
  case $1 in ?*) folder "${1%/*}" ;; esac
  mkdir -p "$prefix$1"
  made="$made$1/
"
}
for each in /bin /lib /share/man/man8 /share/bash-completion/completions; do folder "$each"; done
install -d "$home/bin" "$home/out/native" "$home/out/image"
printf %s "$made" >>"$home/folders"
for command in bin/*; do
  install -m 755 "$command" "$home/$command"
  ln -sfn "../lib/caisson/$command" "$prefix/$command"
done
install -m 755 out/node "$home/out/node"
rm -f "$home"/out/*.cjs.compiled
install -m 644 out/*.cjs "$home/out/"
install -m 644 out/*.cjs.compiled "$home/out/"
install -m 644 out/native/*.node out/native/*.so "$home/out/native/"
install -m 755 out/native/container-init out/native/jail "$home/out/native/"
install -m 644 out/image/* "$home/out/image/"
install -m 644 LICENSE "$home/LICENSE"
for page in out/man/*.8; do install -m 644 "$page" "$prefix/share/man/man8/"; done
install -m 644 deploy/completion/caisson.bash "$prefix/share/bash-completion/completions/caisson"
echo "Installed below $prefix: bin/caisson, lib/caisson, man pages and completion."
