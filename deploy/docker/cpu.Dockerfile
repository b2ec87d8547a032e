# Webserver, daemon, code server, and runs without a GPU. Build from the root of the checkout:
#   docker build --file deploy/docker/cpu.Dockerfile --tag distil-dagster-cpu:0.1.0 .
FROM python:3.11.13-slim-bookworm AS build

# torch by itself and first, from the index of CPU builds: PyPI's own build brings several gigabytes of CUDA libraries.
# Without its dependencies: that index lacks the versions of constraints.txt, and the next command brings them.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
WORKDIR /build
COPY constraints.txt pyproject.toml deploy/docker/requirements.py ./
RUN /opt/venv/bin/pip install --constraint constraints.txt --index-url "${TORCH_INDEX}" --no-deps torch \
    && python requirements.py pyproject.toml cluster > requirements.txt \
    && /opt/venv/bin/pip install --constraint constraints.txt --requirement requirements.txt
COPY README.md LICENSE ./
COPY distil_dagster distil_dagster
RUN /opt/venv/bin/pip install --constraint constraints.txt --no-deps .


FROM python:3.11.13-slim-bookworm

# The instance's settings are part of the image, as ECS mounts no files; compose and Kubernetes mount their own over it.
ARG INSTANCE=deploy/compose/dagster.yaml
ARG EXECUTOR=deploy/compose/executor.yaml
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
    DISTIL_EXECUTOR=/opt/dagster/executor.yaml
USER 10001:10001
EXPOSE 4000
# Right for the code server; compose says its own for webserver and daemon, Kubernetes and ECS do not read it.
HEALTHCHECK --interval=30s --timeout=20s --start-period=120s CMD ["dagster", "api", "grpc-health-check", "--port", "4000"]
CMD ["distil-code-server"]
