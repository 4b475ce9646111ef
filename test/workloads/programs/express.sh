#!/bin/bash
# npm install of express from the registry below $1, as uid 1234, and a page from it.
set -euo pipefail
folder=$1/express
if [ "$(id -u)" = 0 ]; then
	install --directory --owner=1234 --group=1234 "$folder"
	exec setpriv --reuid=1234 --regid=1234 --clear-groups env HOME="$folder" bash "$0" "$@"
fi
cd "$folder"
export npm_config_update_notifier=false npm_config_audit=false npm_config_fund=false npm_config_loglevel=error npm_config_cafile=$CERTIFICATES
echo '{ "name": "app", "version": "1.0.0" }' >package.json
npm install express@4 >log 2>&1 || { cat log; exit 1; }
cat >serve.js <<'END'
const app = require("express")();
app.get("/", (request, response) => response.send("a page"));
const server = app.listen(0, "127.0.0.1", async () => {
  const answer = await fetch(`http://127.0.0.1:${server.address().port}/`);
  console.log(await answer.text());
  process.exit();
});
END
[ "$(node serve.js)" = "a page" ]
