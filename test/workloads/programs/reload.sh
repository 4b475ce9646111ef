#!/bin/bash
# A program below $1 that is started anew when its source changes, as nodemon does: by inotify.
set -euo pipefail
folder=$1/reload
mkdir --parents "$folder/source/below"
cd "$folder"
says() { echo "require('fs').appendFileSync('said', '$1' + require('os').EOL); setInterval(() => {}, 1000);"; }
says "version 0" >source/below/server.js
cat >watch.js <<'END'
const { spawn } = require("node:child_process");
const { watch } = require("node:fs");
let child;
const restart = () => { child?.kill(); child = spawn(process.execPath, ["source/below/server.js"], { stdio: "inherit" }); };
let later;
watch("source", { recursive: false }, changed);
watch("source/below", changed);
function changed() { clearTimeout(later); later = setTimeout(restart, 100); }
process.on("SIGTERM", () => { child?.kill(); process.exit(); });
restart();
END
node watch.js &
watcher=$!
trap 'kill $watcher' EXIT
await() {
	for _ in $(seq 1 300); do
		[ "$(tail -1 said 2>/dev/null)" = "$1" ] && return
		sleep 0.1
	done
	echo "never: $1"; cat said; exit 1
}
await "version 0"
# Editors write in place or rename over.
sed -i "s/version 0/version 1/" source/below/server.js
await "version 1"
says "version 2" >source/below/server.js
await "version 2"
