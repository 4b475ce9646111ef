#!/bin/bash
# SQLite in WAL mode below $1, as uid 1234: three writers at once, one more that is killed.
set -euo pipefail
folder=$1/sqlite
rows=${2:-60}
install --directory --owner=1234 --group=1234 "$folder"
as_user() { setpriv --reuid=1234 --regid=1234 --clear-groups "$@"; }
sql() { as_user sqlite3 -cmd ".timeout 60000" "$folder/database" "$@"; }

[ "$(sql "pragma journal_mode = wal; create table t (writer int, n int, text, primary key (writer, n));")" = wal ]
write() { sql < <(n=0; while [ $((n++)) -lt "$2" ] && echo "insert into t values ($1, $n, hex(randomblob(100))); select $n;"; do :; done 2>/dev/null) >"$folder/$1"; }
write 4 100000 &
endless=$!
for writer in 1 2 3; do write $writer "$rows" & writers+=($!); done
wait "${writers[@]}"
pkill -KILL -u 1234 -x sqlite3
wait $endless || true
[ "$(sql "select count(*) from t where writer < 4")" = $((3 * rows)) ]
acknowledged=$(tail -1 "$folder/4")
kept=$(sql "select count(*) from t where writer = 4")
[ "$kept" -ge "${acknowledged:-0}" ] || { echo "$kept rows of $acknowledged"; exit 1; }
[ "$(sql "pragma integrity_check")" = ok ]
sql "pragma wal_checkpoint(truncate)" >/dev/null
[ ! -s "$folder/database-wal" ]
