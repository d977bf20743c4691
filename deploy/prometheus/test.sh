#!/bin/sh
# Tries rules.yaml with promtool, which it gets from Debian's package where it is not installed. That is unpacked into
# .tools and not installed. Where there is neither, it says so and succeeds, but for continuous integration.
set -eu
cd "$(dirname "$0")"
tools=../../.tools
promtool=$(command -v promtool || true)
if [ -z "$promtool" ] && command -v apt-get >/dev/null 2>&1; then
	[ -x "$tools/prometheus/usr/bin/promtool" ] || (
		mkdir -p "$tools/prometheus" && cd "$tools/prometheus" &&
			{ apt-get download -q prometheus || { [ "$(id -u)" = 0 ] && apt-get update -q && apt-get download -q prometheus; }; } &&
			dpkg-deb -x prometheus_*.deb . && rm -f prometheus_*.deb
	) || true
	[ -x "$tools/prometheus/usr/bin/promtool" ] && promtool=$tools/prometheus/usr/bin/promtool
fi
if [ -z "$promtool" ]; then
	echo "test-rules: skipped, there is no promtool here" >&2
	[ -z "${CI:-}" ]
	exit
fi
"$promtool" check rules rules.yaml
"$promtool" test rules rules_test.yaml
