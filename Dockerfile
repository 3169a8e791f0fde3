# The image of every role: `docker build -t async-toolformer-orchestrator:0.1.0 .`, then `docker run IMAGE planner`.
# Behind a package mirror: docker build --secret id=pip.conf,src=$HOME/.config/pip/pip.conf .
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

# Dependencies first: this layer changes with the lock only. The environment has no pip of its own: it needs none.
RUN python -m venv --without-pip /opt/venv && python -m venv /opt/build
COPY locks/bootstrap.txt locks/production.txt /tmp/locks/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    /opt/build/bin/pip --python /opt/venv/bin/python install --require-hashes -r /tmp/locks/production.txt \
    && /opt/build/bin/pip install --require-hashes -r /tmp/locks/bootstrap.txt

# An editable wheel: it puts /app on the path, where the packages find topics.yaml and docs/ beside them, and it brings
# the command and the metadata that names the version.
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY agents agents
COPY streams streams
RUN /opt/build/bin/hatchling build -t wheel:editable -d /tmp/dist \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --no-deps --no-index /tmp/dist/*.whl \
    && /opt/venv/bin/python -m compileall -q /app


FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="async-toolformer-orchestrator" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin orchestrator
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
COPY topics.yaml /app/
COPY docs /app/docs

# A directory the user may write to: the code in /app stays read-only.
WORKDIR /tmp
# By number, so that Kubernetes can tell that it is not root.
USER 10001:10001
ENTRYPOINT ["orchestrator"]
CMD ["--help"]
