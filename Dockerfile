# The service with its engine, its packages and the packaged models.
#
#   docker build --tag laserve .                                                      for a CPU
#   docker build --tag laserve:gpu --build-arg BASE=vllm/vllm-openai:v0.32.0 .        for a GPU
#
# A base with vLLM keeps its own; only what the service needs beyond vLLM is added. A tag can move: for builds
# that must stay the same, give the base by digest, BASE=python:3.11-slim-bookworm@sha256:..., which
# `docker buildx imagetools inspect python:3.11-slim-bookworm` prints.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
# As in the Makefile, which says why the locks are installed with --no-deps.
ARG TORCH=torch==2.13.0+cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY deploy/requirements-cpu.lock deploy/requirements-engine.lock deploy/requirements-service.lock deploy/
# The secret, if there is one, is the settings of pip.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    python3 -m venv --system-site-packages --without-pip /opt/laserve \
    && if ! python3 -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("vllm") is None)'; then \
        pip="python3 -m pip --python /opt/laserve/bin/python install --quiet --no-deps" \
        && { $pip "$TORCH" 2>/dev/null || $pip --index-url "$TORCH_INDEX" "$TORCH"; } \
        && $pip --requirement deploy/requirements-engine.lock; \
    fi \
    && python3 -m pip --python /opt/laserve/bin/python install --quiet --no-deps \
        --requirement deploy/requirements-service.lock
COPY pyproject.toml README.md LICENSE ./
COPY service service
COPY clients clients
# The models of the default, so that a container starts without a network and without a writable cache.
RUN LASERVE_CACHE_DIR=/var/cache/laserve PYTHONPATH=service /opt/laserve/bin/python -m laserve models
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    python3 -m venv --without-pip /opt/hatchling \
    && python3 -m pip --python /opt/hatchling/bin/python install --quiet \
        --constraint deploy/requirements-cpu.lock hatchling \
    && python3 -m pip --python /opt/hatchling/bin/python wheel --quiet --no-deps --no-build-isolation \
        --wheel-dir /wheels . ./clients/python

FROM ${BASE}
ARG REVISION=""
LABEL org.opencontainers.image.title="laserve" \
      org.opencontainers.image.description="Best-of-n at inference time; a bandit chooses the reward model" \
      org.opencontainers.image.source="https://github.com/laserve/laserve" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}"
# vLLM on a CPU needs libnuma, which a slim base lacks. Its version is the base's to choose.
# hadolint ignore=DL3008
RUN if ! ls /usr/lib/*/libnuma.so.1 >/dev/null 2>&1; then \
        apt-get -qq update \
        && apt-get -qq install --yes --no-install-recommends libnuma1 >/dev/null \
        && rm -rf /var/lib/apt/lists/*; \
    fi \
    && groupadd --gid 10001 laserve \
    && useradd --uid 10001 --gid laserve --no-log-init --no-create-home --home-dir /var/cache/laserve \
        --shell /usr/sbin/nologin laserve \
    && install --directory --owner laserve --group laserve /var/lib/laserve /var/cache/laserve \
        /var/cache/laserve/torchinductor
COPY --from=build /opt/laserve /opt/laserve
COPY --from=build --chown=10001:10001 /var/cache/laserve /var/cache/laserve
COPY deploy/healthcheck.py /opt/laserve/
# The service's own code is the last layer, a small one.
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    python3 -m pip --python /opt/laserve/bin/python install --quiet --no-cache-dir --no-deps --no-index \
        --root-user-action=ignore /wheels/laserve*.whl

# What libraries keep and compile goes below HOME, thus into the cache volume: compiled code is mapped, which a /tmp
# without exec refuses. PyTorch asks for its folder when it is imported, also where nothing is compiled and the root
# is read-only, so the image has it.
# The service writes its address into RUNTIME_DIRECTORY, where the health check reads it.
ENV PATH=/opt/laserve/bin:$PATH \
    HOME=/var/cache/laserve \
    TORCHINDUCTOR_CACHE_DIR=/var/cache/laserve/torchinductor \
    RUNTIME_DIRECTORY=/tmp \
    LASERVE_DATA_DIR=/var/lib/laserve \
    LASERVE_CACHE_DIR=/var/cache/laserve \
    LASERVE_HOST=0.0.0.0
WORKDIR /var/lib/laserve
USER 10001:10001
EXPOSE 8000
# Ready rather than alive: who waits for a healthy container wants to send requests. Loading is not unhealthy.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10m --retries=3 \
    CMD ["/opt/laserve/bin/python", "/opt/laserve/healthcheck.py"]
ENTRYPOINT ["/opt/laserve/bin/laserve"]
CMD ["serve"]
