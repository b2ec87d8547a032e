# GPU steps; on a single server with a GPU, everything. Build from the root of the checkout:
#   docker build --file deploy/docker/cuda.Dockerfile --tag distil-dagster-cuda:0.1.0 .
# The host needs the NVIDIA driver and container toolkit; CUDA itself comes with torch.
FROM python:3.11.13-slim-bookworm AS build

# torch by itself and first, as in the CPU image. On PyPI, the Linux wheel is the CUDA build.
ARG TORCH_INDEX=https://pypi.org/simple
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
WORKDIR /build
COPY constraints.txt pyproject.toml deploy/docker/requirements.py ./
RUN /opt/venv/bin/pip install --constraint constraints.txt --index-url "${TORCH_INDEX}" --no-deps torch \
    && python requirements.py pyproject.toml cluster qlora > requirements.txt \
    && /opt/venv/bin/pip install --constraint constraints.txt --requirement requirements.txt
COPY README.md LICENSE ./
COPY distil_dagster distil_dagster
RUN /opt/venv/bin/pip install --constraint constraints.txt --no-deps .


FROM python:3.11.13-slim-bookworm

# The instance's settings are part of the image, as ECS mounts no files; compose and Kubernetes mount their own over it.
ARG INSTANCE=deploy/compose/dagster.yaml
ARG EXECUTOR=deploy/compose/executor.yaml
# Triton compiles its launchers on the machine that uses them.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 distil \
    && useradd --uid 10001 --gid distil --no-create-home --home-dir /var/lib/distil distil \
    && install --directory --owner=distil --group=distil /opt/dagster /srv/distil /var/lib/distil
COPY --from=build /opt/venv /opt/venv
COPY deploy/docker/entrypoints /usr/local/bin
WORKDIR /srv/distil
COPY configs configs
COPY examples examples
COPY deploy/docker/workspace.yaml /opt/dagster/workspace.yaml
COPY ${INSTANCE} /opt/dagster/dagster.yaml
COPY ${EXECUTOR} /opt/dagster/executor.yaml
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LITELLM_LOCAL_MODEL_COST_MAP=True \
    HOME=/var/lib/distil \
    HF_HOME=/var/lib/distil/huggingface \
    DAGSTER_HOME=/opt/dagster \
    DISTIL_CONFIGS=/srv/distil/configs \
    DISTIL_ARTEFACTS=/var/lib/distil/artefacts \
    DISTIL_WORK=/var/lib/distil/work \
    DISTIL_CACHE=/var/lib/distil/cache \
    DISTIL_EXECUTOR=/opt/dagster/executor.yaml \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
EXPOSE 4000
# Right for the code server; compose says its own for webserver and daemon, Kubernetes and ECS do not read it.
HEALTHCHECK --interval=30s --timeout=20s --start-period=120s CMD ["dagster", "api", "grpc-health-check", "--port", "4000"]
CMD ["distil-code-server"]
