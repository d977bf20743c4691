# Works with GNU make 3.81, which is what macOS has.

SHELL   := /bin/sh
GO      ?= go
# The major version of Postgres that the tests run on, 14 to 18; empty: the newest that is installed.
PG      ?=
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)

# Built with the Go at hand; the version in its name makes a new one build when it changes.
LINT_VERSION := v2.15.0
LINT         := .tools/golangci-lint-$(LINT_VERSION)

.PHONY: help demo test test-database test-shops test-erps test-pages test-rules lint bench build sbom release test-deploy vulnerabilities prerequisites clean

help:
	@echo 'make demo    install what is missing, build, and show kvit at work for a minute and a half'
	@echo 'make test    install what is missing and run all tests, with the race detector; PG=17 on that Postgres'
	@echo 'make test-database   the part of them that the version of Postgres matters to: PG=18'
	@echo 'make test-shops   put kvit beside real webshops, which npm installs, and see what it does to them'
	@echo 'make test-erps   ask a real ERP and real databases, and pass a month with ERPs of all kinds; part of test-shops'
	@echo 'make test-pages   drive the pages of a running demo in Chromium; pictures are left in build/pages'
	@echo 'make test-rules   try the alerting rules with promtool; part of test-shops, skipped where it cannot be had'
	@echo 'make lint    gofmt, go vet, golangci-lint'
	@echo 'make bench   print how fast this machine delivers events and erases orders, and what others feel of it'
	@echo 'make build   ./kvit, one static binary'
	@echo 'make sbom    ./kvit.cdx.json, what the binary is made of (CycloneDX)'
	@echo 'make release   build/release: binaries for linux and darwin, Debian packages, SBOMs, checksums'
	@echo 'make test-deploy   build the Debian package twice, install, upgrade and remove it in a folder; read what the Helm chart makes'
	@echo 'make vulnerabilities   ask the Go vulnerability database about ./kvit; needs the internet'
	@echo 'make clean   remove what these have built here'

demo: prerequisites build
	./kvit demo

test: prerequisites
	KVIT_TEST_POSTGRES='$(PG)' CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 15m ./...

# Only what speaks to the database, without the race detector: make test-database PG=18
test-database: prerequisites
	KVIT_TEST_POSTGRES='$(PG)' $(GO) test -count=1 -timeout 15m ./migrations ./store ./store/storetest ./jobs ./erasure ./web

# The shops run with the system's Node where it is new enough; the one in .tools is there only where not.
test-shops: prerequisites
	@sh shops/install.sh
	PATH="$(CURDIR)/.tools/node/bin:$$PATH" KVIT_SHOPS=1 $(GO) test -count=1 -timeout 14m ./shops
	PATH="$(CURDIR)/.tools/node/bin:$$PATH" KVIT_SHOPS=1 $(GO) test -count=1 -timeout 4m -run 'TestSnippets' ./docs
	$(MAKE) test-erps
	$(MAKE) test-rules

# What erp/install.sh installs, each as a process of the tests' own.
test-erps: prerequisites
	@sh erp/install.sh
	KVIT_ERPS=1 $(GO) test -count=1 -timeout 14m ./erp/sqldb ./erp/files
	KVIT_ERPS=1 $(GO) test -count=1 -timeout 14m -run '^TestMonth$$' ./cmd/kvit

# The demo of this checkout, in the browser that browser/install.sh installs.
test-pages: prerequisites
	@sh browser/install.sh
	PATH="$(CURDIR)/.tools/node/bin:$$PATH" KVIT_BROWSER=1 $(GO) test -count=1 -timeout 8m ./browser
	PATH="$(CURDIR)/.tools/node/bin:$$PATH" KVIT_BROWSER=1 $(GO) test -count=1 -timeout 4m -run '^TestLoginWithABrowser$$' ./cmd/kvit

# Debian's package, unpacked and not installed: it would start a server.
test-rules:
	@sh deploy/prometheus/test.sh

lint: $(LINT)
	@unformatted="$$(gofmt -l .)"; if [ -n "$$unformatted" ]; then \
		echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(LINT) run ./...

# make bench ARGS='-bench Drain' measures one part, and replaces its section of bench/RESULTS.md alone.
ARGS ?= -bench .
bench: prerequisites
	@sh bench/install.sh
	PATH="$(CURDIR)/.tools/node/bin:$$PATH" KVIT_BENCH_RESULTS="$(CURDIR)/bench/RESULTS.md" \
		$(GO) test -run '^$$' $(ARGS) -benchtime 1x -timeout 90m ./bench

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o kvit ./cmd/kvit

# Both read the binary, not the source: what is named is what is in it.
SBOM_VERSION := v1.10.0
VULN_VERSION := v1.9.0

sbom: build
	$(GO) run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(SBOM_VERSION) bin -json -noserial -notimestamp \
		-version '$(VERSION)' -output kvit.cdx.json ./kvit

# Later ones need modules that not every proxy of Go's has.
NFPM_VERSION := v2.43.4
HELM_VERSION := v3.22.0

release:
	@GO='$(GO)' VERSION='$(VERSION)' NFPM_VERSION='$(NFPM_VERSION)' SBOM_VERSION='$(SBOM_VERSION)' sh deploy/release.sh

test-deploy:
	@GO='$(GO)' NFPM_VERSION='$(NFPM_VERSION)' HELM_VERSION='$(HELM_VERSION)' sh deploy/test.sh

# Not part of CI: the database is at vuln.go.dev alone, and its answer changes while the source does not.
vulnerabilities:
	CGO_ENABLED=0 $(GO) build -trimpath -o .tools/kvit-with-symbols ./cmd/kvit
	$(GO) run golang.org/x/vuln/cmd/govulncheck@$(VULN_VERSION) -mode=binary .tools/kvit-with-symbols

prerequisites:
	@GO='$(GO)' PG='$(PG)' sh deploy/install.sh

# In a step of its own, so that an interrupted build leaves nothing with the final name.
$(LINT):
	@mkdir -p .tools
	GOBIN="$(CURDIR)/.tools/new" $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv .tools/new/golangci-lint $(LINT) && rmdir .tools/new

clean:
	rm -rf kvit kvit.cdx.json build .tools
