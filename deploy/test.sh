#!/bin/sh
# What make release builds, looked at and used: the package for this machine, installed beside the system in a folder of
# its own; and what the Helm chart makes, read as strictly as a cluster would. Needs dpkg, and neither rights nor a cluster.
set -eu
GO="${GO:-go}"
arch="$("$GO" env GOARCH)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
fail() {
	echo "test-deploy: $*" >&2
	exit 1
}
build() { (cd "$1" && VERSION="$2" OUT="$work/$3" TARGETS="linux/$arch" SBOM_VERSION="" SOURCE_DATE_EPOCH=1700000000 sh deploy/release.sh); }

# The same bytes from another folder, whose files have other times.
mkdir "$work/elsewhere"
git ls-files -z --cached --others --exclude-standard | xargs -0 tar cf - | tar xmf - -C "$work/elsewhere"
build . v1.2.3 one
build "$work/elsewhere" v1.2.3 again
build . v1.2.4-rc1 two
diff -r "$work/one" "$work/again" || fail "two builds differ"
(cd "$work/one" && sha256sum -c --quiet SHA256SUMS) || fail "checksums"

one="$work/one/kvit_1.2.3_$arch.deb" two="$work/two/kvit_1.2.4~rc1_$arch.deb"
[ "$(dpkg-deb -f "$one" Version)" = 1.2.3 ] || fail "version of the package"
dpkg-deb -c "$one" >"$work/list"
for file in usr/bin/kvit usr/lib/systemd/system/kvit.service usr/share/doc/kvit/kvit.example.yaml usr/share/doc/kvit/copyright; do
	grep -q -- "^-.* root/root .* \./$file$" "$work/list" || fail "$file is not in the package, or not root's"
done
if grep ' \./etc/.*[^/]$' "$work/list"; then fail "the package brings a configuration"; fi

root="$work/root"
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
: >"$root/var/lib/dpkg/status"
dpkg_in() { dpkg --root="$root" --force-not-root --force-script-chrootless --log="$work/log" "$@" >>"$work/out" 2>&1 || { cat "$work/out"; fail "dpkg $*"; }; }
dpkg_in -i "$one"
"$root/usr/bin/kvit" version | grep -q '^kvit v1\.2\.3 ' || fail "kvit version"
[ -z "$(find "$root/etc" -name '*.service')" ] || fail "the service is enabled without a configuration"
grep -q '^ConditionPathExists=/etc/kvit/kvit.yaml$' "$root/usr/lib/systemd/system/kvit.service" || fail "the service starts without a configuration"
grep -q '^ExecStart=/usr/bin/kvit run ' "$root/usr/lib/systemd/system/kvit.service" || fail "the service runs another kvit"

echo 'log: {level: debug}' >"$root/etc/kvit/kvit.yaml"
dpkg_in -i "$two"
"$root/usr/bin/kvit" version | grep -q '^kvit v1\.2\.4-rc1 ' || fail "kvit version after the upgrade"
grep -q 'kvit migrate up' "$work/out" || fail "the upgrade does not say what to do"
dpkg_in -r kvit
[ ! -e "$root/usr/bin/kvit" ] || fail "the removal leaves the binary"
dpkg_in -P kvit
[ "$(cat "$root/etc/kvit/kvit.yaml")" = 'log: {level: debug}' ] || fail "the configuration is not what it was"

# Built once, and not with `go run`: the checks call it three times.
GOBIN="$work/bin" "$GO" install "helm.sh/helm/v3/cmd/helm@${HELM_VERSION:?}"
helm() { HELM_CACHE_HOME="$work/helm" HELM_CONFIG_HOME="$work/helm" HELM_DATA_HOME="$work/helm" "$work/bin/helm" "$@"; }
helm lint --strict --quiet deploy/helm/kvit -f deploy/helm/check/values.yaml
helm template kvit deploy/helm/kvit --kube-version 1.30.0 -f deploy/helm/check/values.yaml >"$work/chart.yaml"
if helm template kvit deploy/helm/kvit --kube-version 1.30.0 >/dev/null 2>&1; then fail "the chart does not ask for a configuration"; fi
(cd deploy/helm/check && CHART="$work/chart.yaml" "$GO" test -count=1 ./...) || fail "the chart"
echo 'test-deploy: ok'
