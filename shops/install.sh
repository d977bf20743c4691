#!/bin/sh
# Installs what `make test-shops` needs: Node.js and the shops, in the versions of their lock files. It
# does nothing where all is there. Nothing of it is part of kvit.
set -eu
cd "$(dirname "$0")"

say() { echo "shops: $*"; }

# Their packages' scripts tell their makers of an installation otherwise.
export MEDUSA_DISABLE_TELEMETRY=true VENDURE_DISABLE_TELEMETRY=true DO_NOT_TRACK=1

# What both shops run on, as Node's major version; the least that their packages ask for within it.
oldest=20
oldest_minor=19
. ./node.sh

# The copy of the lock file is put down last: an interrupted installation is made again.
for shop in clients odata vendure medusa; do
	if ! cmp -s "$shop/package-lock.json" "$shop/node_modules/.installed"; then
		say "npm ci: $shop"
		(cd "$shop" && npm ci --omit=dev --prefer-offline --no-audit --no-fund --loglevel=error && cp package-lock.json node_modules/.installed)
	fi
done
