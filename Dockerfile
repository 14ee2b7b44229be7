# longcode with its bundled models, data sets and configs. docs/clusters.md says how it is used, and what of it was tried.
#
#     docker build -t longcode:0.1.0 .
#     docker run --rm longcode:0.1.0 run configs/quickstart.toml
#
# podman and buildah build it as well.

# Two images of one Debian release: the program is linked to the C library of the first and runs on that of the second.
ARG RUST=docker.io/library/rust:1-bookworm
ARG DEBIAN=docker.io/library/debian:bookworm-slim

FROM ${RUST} AS build
# The checkout is mounted, with its .git, for results say which commit they are of, and shards of two commits are not
# merged. The mount may be another user's, which git refuses unless it is told.
ENV GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=*
# What was compiled stays in the cache, so that only what has changed is compiled again.
RUN --mount=type=bind,source=.,target=/longcode \
    --mount=type=cache,id=longcode-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=longcode-target,target=/target \
    cd /longcode && cargo build --release --locked --bin longcode --target-dir /target && \
    strip -o /usr/local/bin/longcode /target/release/longcode

FROM ${DEBIAN}
# The Vulkan loader, and what NVIDIA's driver, which its container toolkit mounts, loads where there is no display. For
# an AMD or Intel GPU add mesa-vulkan-drivers, which brings a rasteriser in software too.
ARG PACKAGES="libvulkan1 libegl1 libxext6"
RUN apt-get update && apt-get install --yes --no-install-recommends ${PACKAGES} && rm -rf /var/lib/apt/lists/*
# Without `graphics` the toolkit mounts no Vulkan driver. Where there is no GPU EGL would warn of it.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,graphics,utility EGL_LOG_LEVEL=fatal

WORKDIR /longcode
# Whoever it is run as may write results.
RUN useradd --uid 1000 --create-home longcode && install --directory --mode 0777 results
COPY LICENSE-APACHE LICENSE-MIT ./
COPY src/draw/fonts/LICENSE.txt LICENSE-DejaVu
COPY models models
COPY datasets datasets
COPY configs configs
COPY examples examples
COPY --from=build /usr/local/bin/longcode /usr/local/bin/longcode
USER 1000:1000
ENTRYPOINT ["longcode"]
CMD ["--help"]
