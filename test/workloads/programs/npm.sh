#!/bin/bash
# npm below $1, as uid 1234: packages of a folder and of an archive are installed, and their programs run.
set -euo pipefail
folder=$1/npm
if [ "$(id -u)" = 0 ]; then
	install --directory --owner=1234 --group=1234 "$folder"
	exec setpriv --reuid=1234 --regid=1234 --clear-groups env HOME="$folder" bash "$0" "$@"
fi
cd "$folder"
export npm_config_update_notifier=false npm_config_audit=false npm_config_fund=false npm_config_loglevel=error
mkdir -p word/bin app
cat >word/package.json <<'END'
{ "name": "word", "version": "1.0.0", "bin": { "say-word": "bin/say.js" }, "scripts": { "postinstall": "node -e \"fs.writeFileSync('installed', '')\"" } }
END
printf '#!/usr/bin/env node\nconsole.log(require("fs").existsSync(__dirname + "/../installed") ? "word" : "not installed")\n' >word/bin/say.js
chmod +x word/bin/say.js
(cd word && npm pack --silent >/dev/null)
cd app
echo '{ "name": "app", "version": "1.0.0", "scripts": { "start": "say-word" } }' >package.json
npm install --offline ../word/word-1.0.0.tgz >/dev/null
[ "$(npm run --silent start)" = word ]
rm -r node_modules
npm ci --offline >/dev/null
[ "$(npm run --silent start)" = word ]
