#!/bin/bash
# make below $1: generated files are made anew whenever what they come from has changed, by recursive makes with several jobs.
set -euo pipefail
folder=$1/make
rounds=${2:-20}
mkdir "$folder"
cd "$folder"
mkdir part1 part2 part3
cat >Makefile <<'END'
all: result
PARTS := part1 part2 part3
.PHONY: all $(PARTS)
$(PARTS): generated.h
	@$(MAKE) --no-print-directory -C $@
generated.h: source
	@{ echo "/* generated */"; cat source; } >$@.tmp && mv $@.tmp $@
result: $(PARTS)
	@cat part1/out part2/out part3/out >$@
END
for part in 1 2 3; do
	cat >part$part/Makefile <<'END'
out: one two
	@cat one two >$@
one two: ../generated.h
	@tail -1 ../generated.h >$@
END
done
for round in $(seq 1 "$rounds"); do
	echo "round $round" >source
	make --jobs=4 2>errors || { cat errors; exit 1; }
	[ ! -s errors ] || { cat errors; exit 1; }
	[ "$(grep -c -x "round $round" result)" = 6 ] || { echo "round $round is stale:"; cat result; exit 1; }
	make --question part1/out || { echo "round $round is never up to date"; exit 1; }
done
