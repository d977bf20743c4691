#!/bin/sh
# Installs what `make demo` and `make test` need besides Go: the programs of a Postgres server, 14 or
# later, a C compiler for Go's race detector, and PgBouncer. It does nothing where all is there, and changes no
# Postgres that is: kvit's tests and its demo start a private server of their own. With PG=17 the tests want
# that version and no other.
set -eu

say() { echo "install: $*"; }
has() { command -v "$1" >/dev/null 2>&1; }

# The version that go.mod asks for, such as 1.26.
wanted_go=$(sed -n 's/^go \([0-9]*\.[0-9]*\).*/\1/p' "$(dirname "$0")/../go.mod")
if ! has "${GO:-go}"; then
	say "Go $wanted_go or later is needed, and is not in PATH: see https://go.dev/doc/install" >&2
	exit 1
fi

# Where store/localpg looks, too: most packages leave these programs out of PATH.
has_postgres() {
	for dir in $(echo "$PATH" | tr ':' ' ') /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
		/opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin \
		/Library/PostgreSQL/*/bin /Applications/Postgres.app/Contents/Versions/*/bin; do
		[ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] || continue
		major=$("$dir/postgres" --version 2>/dev/null | sed 's/[^0-9]*\([0-9]*\).*/\1/')
		if [ -n "${PG:-}" ]; then
			[ "${major:-0}" = "$PG" ] && return 0
		else
			[ "${major:-0}" -ge 14 ] && return 0
		fi
	done
	return 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif has sudo && [ -t 0 ]; then
		sudo "$@"
	elif has sudo; then
		sudo -n "$@" # nobody is there to type a password
	else
		return 1
	fi
}

updated=
apt_install() {
	if [ -z "$updated" ]; then
		as_root apt-get update -q || return 1
		updated=yes
	fi
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

# Debian's package makes a cluster and starts it, unless it is told not to: nobody here wants one.
apt_postgres() {
	conf=/etc/postgresql-common/createcluster.d/kvit-no-cluster.conf
	as_root mkdir -p "${conf%/*}" || return 1
	echo "create_main_cluster = false" | as_root tee "$conf" >/dev/null || return 1
	done=0
	apt_install "postgresql${PG:+-$PG}" || done=1
	as_root rm -f "$conf"
	return $done
}

# apt_has tells whether the system's packages have the version at all.
apt_has() {
	[ -z "${PG:-}" ] || [ -n "$(apt-cache search --names-only "^postgresql-$PG\$" 2>/dev/null)" ]
}

if ! has_postgres; then
	say "no Postgres ${PG:-14 or later} here; installing its programs (no server is set up or started)"
	if has apt-get; then
		if [ -z "$updated" ] && as_root apt-get update -q; then updated=yes; fi
		! apt_has || apt_postgres || say "apt-get could not install postgresql" >&2
	elif has brew; then
		brew install "postgresql@${PG:-17}" || say "brew could not install postgresql@${PG:-17}" >&2
	fi
	if ! has_postgres; then
		say "there is still none: kvit will have npm fetch a bare server (about 25 MB, kept in the user's cache)" >&2
		if ! has npm && has apt-get; then
			apt_install nodejs npm || say "apt-get could not install npm" >&2
		elif ! has npm && has brew; then
			brew install node || say "brew could not install node" >&2
		fi
	fi
fi

if ! has gcc && ! has clang && ! has cc; then
	say "no C compiler here, which Go's race detector needs; installing one"
	if has apt-get; then
		apt_install gcc libc6-dev || say "apt-get could not install gcc" >&2
	elif has xcode-select; then
		say "run \`xcode-select --install\`, then try again" >&2
	else
		say "install gcc, then try again" >&2
	fi
fi

# Debian's package starts one, unless it is told not to. Tests that need a pooler are skipped where there is none, but for
# continuous integration.
apt_pgbouncer() {
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod +x "$policy" || return 1
		made=yes
	fi
	done=0
	apt_install pgbouncer || done=1
	[ -z "${made:-}" ] || as_root rm -f "$policy"
	return $done
}

if ! has pgbouncer && ! [ -x /usr/sbin/pgbouncer ]; then
	say "no PgBouncer here, which tests stand kvit behind; installing it (none is started)"
	if has apt-get; then
		apt_pgbouncer || say "apt-get could not install pgbouncer" >&2
	elif has brew; then
		brew install pgbouncer || say "brew could not install pgbouncer" >&2
	fi
fi
