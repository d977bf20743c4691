# The base images are named by tag. Whoever builds for production pins them to what the tag is at that time:
#
#   docker buildx imagetools inspect golang:1.26.8-bookworm --format '{{.Manifest.Digest}}'
#
# and writes FROM golang:1.26.8-bookworm@sha256:…, likewise for the other. No digests stand here because none was
# looked up: one that nobody has checked is worse than a tag.
#
# The Go version is that of go.mod with its latest patch; a test keeps them together.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=development
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /kvit ./cmd/kvit

# No shell and no packages, but certificates of the public authorities and a user that is not root.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /kvit /kvit
COPY LICENSE /LICENSE
USER 65532:65532
ENV KVIT_CONFIG=/etc/kvit/kvit.yaml
EXPOSE 8080
STOPSIGNAL SIGTERM
# Asks the process, not the database: a container must not be restarted because the database is.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 CMD ["/kvit", "health"]
ENTRYPOINT ["/kvit"]
CMD ["run"]
