# The base images are named by tag, for people, and by digest, which decides. golang's is the one that docker-library's
# repo-info lists for the tag (September 2026), distroless' what the tag was in July 2026. To renew one:
#
#   docker buildx imagetools inspect golang:1.26.8-bookworm --format '{{.Manifest.Digest}}'
#
# The Go version is that of go.mod with its latest patch; a test keeps them together.
FROM golang:1.26.8-bookworm@sha256:f4191582e1522dfc5980a6bdc0309a756f9697f3e7d0f199c7e26fc82ab324fd AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=development
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /kvit ./cmd/kvit

# No shell and no packages, but certificates of the public authorities and a user that is not root.
FROM gcr.io/distroless/static-debian12:nonroot@sha256:b7bb25d9f7c31d2bdd1982feb4dafcaf137703c7075dbe2febb41c24212b946f
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
