# Sourced, not run: puts a Node.js on the PATH that is at least $oldest.$oldest_minor. The sourcing script has say().

# Where the system has none that is new enough, npm has: its package of Node's own program. Linux on
# x64 and arm64, macOS on arm64.
node_version=22.22.0
node_dir=$(cd .. && pwd)/.tools/node

new_enough() {
	version=$("$1" --version 2>/dev/null | sed 's/^v//') || return 1
	major=${version%%.*}
	rest=${version#*.}
	minor=${rest%%.*}
	[ "${major:-0}" -gt "$oldest" ] || { [ "${major:-0}" -eq "$oldest" ] && [ "${minor:-0}" -ge "$oldest_minor" ]; }
}

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# npm needs a Node to run at all; Debian's may be too old for what it installs, but not for that.
if ! command -v npm >/dev/null 2>&1; then
	say "no npm here; installing it"
	if command -v apt-get >/dev/null 2>&1; then
		as_root apt-get update -q
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends nodejs npm
	elif command -v brew >/dev/null 2>&1; then
		brew install node
	else
		say "install Node.js $oldest or later with npm, then try again" >&2
		exit 1
	fi
fi

if ! new_enough node && ! new_enough "$node_dir/bin/node"; then
	say "Node.js $node_version from npm, since the system's is older than $oldest.$oldest_minor"
	case $(uname -s) in Darwin) system=darwin ;; *) system=linux ;; esac
	case $(uname -m) in arm64 | aarch64) machine=arm64 ;; *) machine=x64 ;; esac
	rm -rf "$node_dir"
	npm install --silent --no-save --prefix "$node_dir.new" "node-$system-$machine@$node_version"
	mv "$node_dir.new/node_modules/node-$system-$machine" "$node_dir"
	rm -rf "$node_dir.new"
fi
if ! new_enough node; then
	PATH="$node_dir/bin:$PATH"
	export PATH
fi
