# Two images of one code: `--target web` serves pages and the API and holds no torch; `--target
# worker` also trains. docker-compose.yml puts them together; a test holds both files to the code.
FROM python:3.11-slim-bookworm AS base
ENV DJANGO_SETTINGS_MODULE=config.settings.production \
    DO_NOT_TRACK=1 \
    GRANIAN_HOST=0.0.0.0 \
    GRANIAN_PORT=8000 \
    HF_DATASETS_OFFLINE=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    HF_HUB_OFFLINE=1 \
    OMP_WAIT_POLICY=PASSIVE \
    PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    STATE_ROOT=/var/lib/folkmoot \
    STATIC_ROOT=/srv/static \
    TOKENIZERS_PARALLELISM=false \
    TRANSFORMERS_OFFLINE=1
RUN useradd --system --uid 10001 --user-group --no-create-home folkmoot \
    && install -d -o folkmoot -g folkmoot /var/lib/folkmoot
WORKDIR /app

FROM base AS web-packages
COPY requirements-web.lock .
RUN python -m venv /opt/venv \
    && pip install --no-cache-dir --no-deps --require-hashes -r requirements-web.lock

FROM base AS worker-packages
# Which build of torch: empty takes the platform's own, else the address of an index of builds.
ARG TORCH_INDEX_URL=""
COPY requirements-worker.lock .
RUN python -m venv /opt/venv \
    && pip install --no-cache-dir ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} torch==2.13.0 \
    && pip install --no-cache-dir --no-deps --require-hashes -r requirements-worker.lock

FROM base AS web
COPY --from=web-packages /opt/venv /opt/venv
COPY . .
# The values stand in for secrets while static files are gathered; none stays in the image.
RUN SECRET_KEY=unused SIGNING_KEY_FILE=/unused ALLOWED_HOSTS=unused DATABASE_URL=postgresql://unused/unused \
    CELERY_BROKER_URL=memory:// python manage.py collectstatic --noinput
USER folkmoot
VOLUME /var/lib/folkmoot
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "config/healthcheck.py"]
CMD ["granian", "--interface", "wsgi", "--workers", "2", "--blocking-threads", "4", "--respawn-failed-workers", "--log-level", "warning", "config.wsgi:application"]

FROM base AS worker
COPY --from=worker-packages /opt/venv /opt/venv
COPY . .
USER folkmoot
VOLUME /var/lib/folkmoot
CMD ["celery", "-A", "config", "worker", "-n", "compute@%h", "-Q", "compute", "-c", "1", "-l", "INFO", "--without-mingle", "--without-gossip"]
