# The image holds an interpreter, the locked dependencies and the program; nothing is built or fetched at run time.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements.lock requirements-dev.lock ./
RUN python3 -m venv /opt/basisbot \
 && /opt/basisbot/bin/python -m pip install --no-deps --require-hashes -r requirements.lock
# the build backend is pinned in the development lock; it stays in this stage
RUN python3 -m venv /opt/build \
 && awk '/^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/ {keep=1} keep {print} !/\\$/ {keep=0}' \
      requirements-dev.lock >build.lock \
 && /opt/build/bin/python -m pip install --no-deps --require-hashes -r build.lock
COPY . .
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/basisbot/bin/python -m pip install --no-deps /wheels/*.whl \
 && /opt/basisbot/bin/python -m pip uninstall --yes --quiet pip

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/basisbot /opt/basisbot
# a named volume takes over the owner of its mount point, so that it must exist and belong to the user
RUN mkdir /data && chown 10001:10001 /data
ENV PATH=/opt/basisbot/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME /data
HEALTHCHECK --interval=10s --timeout=30s --start-period=40s --retries=3 \
  CMD ["basisbot", "health", "--ready", "--wait-s", "20"]
ENTRYPOINT ["basisbot"]
CMD ["--help"]
