# syntax=docker/dockerfile:1
# The one recipe of all images: docker build --build-arg SERVICE=auth . (rooms, edge, web, steward).
# A static program and nothing else: no shell, no other user's files; Mozilla's CA roots are compiled in.
# `make images` makes the same without a container engine; .ci/images holds the two against each other.
ARG GO=1.26
ARG SERVICE

# An entrypoint can't be made of a variable; a stage's name can.
FROM scratch AS entry-auth
ENTRYPOINT ["/auth"]
FROM scratch AS entry-rooms
ENTRYPOINT ["/rooms"]
FROM scratch AS entry-edge
ENTRYPOINT ["/edge"]
FROM scratch AS entry-web
ENTRYPOINT ["/web"]
FROM scratch AS entry-steward
ENTRYPOINT ["/steward"]

# Compiles on the builder's own platform for the image's: nothing is emulated.
FROM --platform=$BUILDPLATFORM golang:${GO} AS build
ARG SERVICE
WORKDIR /src
COPY pkg pkg
COPY services/${SERVICE} services/${SERVICE}
ARG TARGETOS TARGETARCH
ARG VERSION=dev COMMIT=unknown DATE=1970-01-01T00:00:00Z
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    cd services/${SERVICE} && mkdir /out && \
    GOOS=${TARGETOS} GOARCH=${TARGETARCH} CGO_ENABLED=0 GOWORK=off go build -trimpath -buildvcs=false -ldflags "-s -w \
      -X github.com/parley-chat/parley/pkg/observe.version=${VERSION} \
      -X github.com/parley-chat/parley/pkg/observe.commit=${COMMIT} \
      -X github.com/parley-chat/parley/pkg/observe.date=${DATE}" -o /out/ ./cmd/${SERVICE} && \
    chmod 0555 /out/${SERVICE}

FROM entry-${SERVICE}
ARG SERVICE
ARG VERSION=dev COMMIT=unknown DATE=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="parley-${SERVICE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.created="${DATE}" \
      org.opencontainers.image.source="https://github.com/parley-chat/parley" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/ /
USER 10001:10001
EXPOSE 8080 8081 9090
