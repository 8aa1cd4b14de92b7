# Bandwidth Exporter. Without a configuration it shows the demo; with one at /etc/bandwidth/config.yaml, your network.
# docs/install.md says how it is run.
FROM python:3.11.15-slim-bookworm AS build

# What is installed comes from the lock, with its hashes, and nothing is compiled here.
WORKDIR /src
RUN python -m venv /opt/build && python -m venv --without-pip /opt/bandwidth
COPY requirements.lock ./
COPY scripts/locked.py scripts/
RUN python scripts/locked.py > run.lock && python scripts/locked.py hatchling editables > build.lock
RUN /opt/build/bin/pip --python /opt/bandwidth/bin/python install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary=:all: -r run.lock \
    && /opt/build/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r build.lock

COPY pyproject.toml README.md ./
COPY migrations migrations
COPY exporter exporter
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --disable-pip-version-check --wheel-dir /wheels . \
    && /opt/build/bin/pip --python /opt/bandwidth/bin/python install --no-cache-dir --no-deps /wheels/*.whl


FROM python:3.11.15-slim-bookworm

LABEL org.opencontainers.image.title="Bandwidth Exporter" \
      org.opencontainers.image.description="Every byte your network meters, counted once, as Prometheus counters"

# A user of its own, with a number that volumes can rely on.
RUN groupadd --gid 10477 bandwidth \
    && useradd --uid 10477 --gid 10477 --no-create-home --home-dir /var/lib/bandwidth --shell /usr/sbin/nologin bandwidth \
    && install -d -m 0700 -o bandwidth -g bandwidth /var/lib/bandwidth \
    && install -d /etc/bandwidth

COPY --from=build /opt/bandwidth /opt/bandwidth
COPY containers/start containers/healthy.py /usr/local/bin/

ENV PATH=/opt/bandwidth/bin:$PATH \
    BANDWIDTH_LISTEN=0.0.0.0:10477 \
    BANDWIDTH_STATE=/var/lib/bandwidth/bandwidth.db \
    PYTHONDONTWRITEBYTECODE=1

USER 10477:10477
WORKDIR /etc/bandwidth
VOLUME /var/lib/bandwidth
EXPOSE 10477
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-I", "-S", "/usr/local/bin/healthy.py"]
ENTRYPOINT ["start"]
