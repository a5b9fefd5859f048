# One file for every Sidestream service. Targets:
#   server (the last one, so the default)  migrate, ingest, flows, web and the Prefect server
#   edge                                   the agent on a gateway, and the simulator; no server part is installed
# Versions are those of uv.lock. Build with BuildKit (the default since Docker 23).
ARG PYTHON_TAG=3.11.14-slim-bookworm

FROM python:${PYTHON_TAG} AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    UV_PROJECT_ENVIRONMENT=/opt/sidestream
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
WORKDIR /src
COPY pyproject.toml uv.lock ./

# Dependencies first, the project after them: a change of code does not install everything anew.
FROM build AS build-edge
RUN --mount=type=cache,target=/root/.cache/uv uv sync --frozen --no-install-project --extra edge
COPY . .
RUN --mount=type=cache,target=/root/.cache/uv uv sync --frozen --no-editable --extra edge

FROM build AS build-server
RUN --mount=type=cache,target=/root/.cache/uv uv sync --frozen --no-install-project --extra server
COPY . .
RUN --mount=type=cache,target=/root/.cache/uv uv sync --frozen --no-editable --extra server

FROM python:${PYTHON_TAG} AS base
RUN useradd --uid 10001 --user-group --create-home --home-dir /var/lib/sidestream --shell /usr/sbin/nologin sidestream
COPY deploy/health.py /opt/health.py
ENV PATH=/opt/sidestream/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/sidestream
USER 10001:10001
CMD ["sidestream", "--help"]

FROM base AS edge
COPY --from=build-edge /opt/sidestream /opt/sidestream
CMD ["sidestream", "edge", "run", "/etc/sidestream/edge.yaml"]

FROM base AS server
COPY --from=build-server /opt/sidestream /opt/sidestream
