#!/bin/bash
# git below $1, as uid 1234: a repository is made, cloned, changed, packed and checked.
set -euo pipefail
folder=$1/git
files=${2:-300}
if [ "$(id -u)" = 0 ]; then
	install --directory --owner=1234 --group=1234 "$folder"
	exec setpriv --reuid=1234 --regid=1234 --clear-groups env HOME="$folder" bash "$0" "$@"
fi
cd "$folder"
git config --global user.name Tester
git config --global user.email tester@example.org
git config --global init.defaultBranch main
git init --quiet origin
cd origin
for n in $(seq 1 "$files"); do
	[ $((n % 50)) = 1 ] && directory=d$n && mkdir "$directory"
	echo "file $n" >"$directory/$n"
done
git add . && git commit --quiet --message=one
cd ..
git clone --quiet --no-local origin clone
cd clone
[ "$(git ls-files | wc -l)" = "$files" ]
[ -z "$(git status --porcelain)" ]
# Of the same size and within the same second as what the index knows: only its times tell.
for n in 1 2 3 4 5; do
	echo "FILE $n" >d1/$n
	[ "$(git status --porcelain)" = " M d1/$n" ] || { git status --porcelain; exit 1; }
	git commit --quiet --all --message="change $n"
	[ -z "$(git status --porcelain)" ]
done
git gc --quiet --aggressive --prune=now
git fsck --no-progress --full --strict
git push --quiet origin HEAD:pushed
git worktree add --quiet ../tree HEAD~2
[ "$(cat ../tree/d1/5)" = "file 5" ]
git -C ../origin fsck --no-progress --full
