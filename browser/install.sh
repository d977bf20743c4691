#!/bin/sh
# Installs what `make test-pages` needs: Chromium, Node.js, and what drives and judges pages. It does nothing where all
# is there. Nothing of it is part of kvit.
set -eu
cd "$(dirname "$0")"

say() { echo "browser: $*"; }

oldest=22
oldest_minor=12
. ../shops/node.sh

if ! command -v chromium >/dev/null 2>&1 && [ -z "${KVIT_CHROMIUM:-}" ]; then
	if ! command -v apt-get >/dev/null 2>&1; then
		say "install Chromium or Chrome, and set KVIT_CHROMIUM to its program" >&2
		exit 1
	fi
	say "no Chromium here; installing it"
	as_root apt-get update -q
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium fonts-dejavu-core
fi

if ! cmp -s package-lock.json node_modules/.installed; then
	say "npm ci"
	npm ci --omit=dev --prefer-offline --no-audit --no-fund --loglevel=error && cp package-lock.json node_modules/.installed
fi
