#!/bin/sh
# Installs the job queues that `make bench` measures kvit beside, in the versions of their lock file, and the
# Node.js that they ask for. Without them the benchmark leaves them out, and says so.
set -eu
cd "$(dirname "$0")"

say() { echo "bench: $*"; }

oldest=22
oldest_minor=18
. ../shops/node.sh

# The copy of the lock file is put down last: an interrupted installation is made again.
if ! cmp -s peers/package-lock.json peers/node_modules/.installed; then
	say "npm ci: peers"
	(cd peers && npm ci --omit=dev --prefer-offline --no-audit --no-fund --loglevel=error && cp package-lock.json node_modules/.installed)
fi
