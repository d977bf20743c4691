#!/bin/sh
# Installs what `make test-erps` needs: Tryton, which is a real ERP on Postgres, MariaDB's server, and OpenSSH's server
# with its sftp part, all of Debian's. It does nothing where all is there. Nothing of it is part of kvit; the tests start
# what they need themselves, on loopback, and end it.
set -eu

say() { echo "erps: $*"; }

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Tryton's modules are Python's of Debian, so its own Python has to have them.
there() {
	[ -x /usr/bin/trytond-admin ] && /usr/bin/python3 -c 'import proteus, psycopg2, trytond.modules.sale' 2>/dev/null &&
		[ -x /usr/sbin/mariadbd ] && [ -x /usr/bin/mariadb-install-db ] && [ -x /usr/sbin/sshd ] && [ -x /usr/lib/openssh/sftp-server ]
}

if there; then
	exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
	say "these tests need Debian's tryton-modules-sale, tryton-proteus, python3-psycopg2, mariadb-server-core and openssh-server" >&2
	exit 1
fi
say "installing Tryton, MariaDB's server and OpenSSH's"
as_root apt-get update -q
# No service of a machine that has a service manager is to start for this.
as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -q -y --no-install-recommends \
	tryton-modules-sale tryton-proteus python3-psycopg2 mariadb-server-core mariadb-client-core openssh-server openssh-sftp-server
there
