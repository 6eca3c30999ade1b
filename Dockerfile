# The image of the GitHub action and of the GitLab template: `atmos`, git, and a shell for the scripts of components.
#
#   docker build --tag atmos .
#   docker run --rm --volume "$PWD:/workspace" --workdir /workspace atmos deployment status

FROM rust:1.95-slim-bookworm AS build
WORKDIR /source
COPY Cargo.lock Cargo.toml build.rs ./
COPY benches benches
COPY image/build image/
COPY schema schema
COPY src src
COPY templates templates
COPY tests tests
# A build that nobody ships can do without: LTO=off CODEGEN_UNITS=16 takes a fraction of the time.
ARG LTO=true
ARG CODEGEN_UNITS=1
# The relocations of a program that may lie anywhere take 0.9 MB, packed next to nothing: since 2.36, which this Debian
# has, the C library unpacks them.
RUN --mount=type=cache,target=/source/target \
    export CARGO_PROFILE_RELEASE_LTO=$LTO CARGO_PROFILE_RELEASE_CODEGEN_UNITS=$CODEGEN_UNITS && \
    export RUSTFLAGS="-C link-arg=-Wl,-z,pack-relative-relocs" && \
    cp "$(image/build --release)" /usr/local/bin/atmos

FROM debian:bookworm-slim AS system
# Versions are those of the base image's release of Debian.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install --yes --no-install-recommends ca-certificates git && \
    rm -rf /var/lib/apt/lists/*
COPY image/system /usr/local/bin/
# The same program by other names: `atmos-deployment` takes the verbs directly, `atmos-ci` is the entry of the action.
RUN system /system base-files bash ca-certificates coreutils dash findutils git grep gzip libc-bin libgcc-s1 \
        sed tar && \
    mkdir -p /system/usr/local/bin && \
    ln -s atmos /system/usr/local/bin/atmos-deployment && \
    ln -s atmos /system/usr/local/bin/atmos-ci

FROM scratch
LABEL org.opencontainers.image.title="Atmos Deployments" \
      org.opencontainers.image.description="Deployments tracked in Git itself" \
      org.opencontainers.image.source="https://github.com/atmos-deployments/atmos-deployments" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=system /system /
COPY --from=build /usr/local/bin/atmos /usr/local/bin/
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8
# No user is named: a runner's workspace belongs to the runner's user, and the action's container has to write there. Any
# user works: `docker run --user 1000`.
ENTRYPOINT ["atmos"]
