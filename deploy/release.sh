#!/bin/sh
# Builds what a release consists of into $OUT: binaries, their SBOMs, Debian packages, SHA256SUMS. The same source,
# version and Go give the same bytes, wherever they lie.
set -eu
GO="${GO:-go}"
VERSION="${VERSION:?}"
OUT="${OUT:-build/release}"
TARGETS="${TARGETS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64}"
NFPM="github.com/goreleaser/nfpm/v2/cmd/nfpm@${NFPM_VERSION:?}"
SBOM="${SBOM_VERSION:+github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$SBOM_VERSION}" # empty: none

# A version of Debian's begins with a digit, has no dash, and has a tilde before what precedes a release.
DEB_VERSION="$(printf %s "${VERSION#v}" | sed -e 's/-\(alpha\|beta\|rc\)/~\1/' -e 's/-/+/g')"
case "$DEB_VERSION" in [0-9]*.*) ;; *) DEB_VERSION="0.0.0+$DEB_VERSION" ;; esac

# Of the last commit, since the time of the build must not be in the packages.
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}"
export OUT DEB_VERSION SOURCE_DATE_EPOCH

rm -rf "$OUT"
mkdir -p "$OUT"
sed 's,/usr/local/bin/kvit,/usr/bin/kvit,; s,/etc/systemd/system/,/usr/lib/systemd/system/,' deploy/kvit.service >"$OUT/.kvit.service"
for target in $TARGETS; do
	os="${target%/*}" ARCH="${target#*/}"
	export ARCH
	binary="$OUT/kvit-$os-$ARCH"
	CGO_ENABLED=0 GOOS="$os" GOARCH="$ARCH" GOFLAGS=-buildvcs=false "$GO" build -trimpath -ldflags "-s -w -buildid= -X main.version=$VERSION" -o "$binary" ./cmd/kvit
	if [ -n "$SBOM" ]; then
		"$GO" run "$SBOM" bin -json -noserial -notimestamp -version "$VERSION" -output "$binary.cdx.json" "$binary"
	fi
	if [ "$os" = linux ]; then
		"$GO" run "$NFPM" package --config deploy/nfpm.yaml --packager deb --target "$OUT/kvit_${DEB_VERSION}_$ARCH.deb"
	fi
done
rm "$OUT/.kvit.service"
cd "$OUT"
if command -v sha256sum >/dev/null; then sha256sum kvit*; else shasum -a 256 kvit*; fi >SHA256SUMS
