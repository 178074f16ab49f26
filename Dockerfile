# One image for API, worker and command line. No package index is named here: the builder's own configuration decides.
FROM python:3.12-slim-trixie AS build

# FFmpeg's libraries from Debian's source, with what a recording's length and a film's poster take: docs/decisions/0039.
RUN sed -i 's/^Types: deb$/Types: deb deb-src/' /etc/apt/sources.list.d/debian.sources \
    && apt-get update \
    && apt-get install --yes --no-install-recommends dpkg-dev gcc libc6-dev make pkgconf \
    && cd /usr/src && apt-get source ffmpeg
COPY deploy/decoder /tmp/decoder
RUN sh /tmp/decoder/build.sh /usr/src/ffmpeg-* /opt/ffmpeg

COPY requirements-production.lock /tmp/
# Nothing but the lock's own files, by hash; `--only-binary`: no package's set-up code runs here.
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python --disable-pip-version-check install \
        --no-cache-dir --no-deps --require-hashes --only-binary=:all: --requirement /tmp/requirements-production.lock
# The library that uses them is the one package that is built here: its wheels have an FFmpeg with parts under the GPL.
RUN python -m venv /opt/build \
    && /opt/build/bin/pip --disable-pip-version-check install \
        --no-cache-dir --no-deps --require-hashes --only-binary=:all: --requirement /tmp/decoder/build.lock \
    && PKG_CONFIG_PATH=/opt/ffmpeg/lib/pkgconfig /opt/build/bin/pip --disable-pip-version-check wheel \
        --no-cache-dir --no-deps --require-hashes --no-binary=:all: --no-build-isolation \
        --wheel-dir /tmp/wheels --requirement /tmp/decoder/requirements.lock \
    && python -m pip --python /opt/venv/bin/python --disable-pip-version-check install --no-deps --no-index /tmp/wheels/*.whl \
    && rm -r /opt/ffmpeg/include /opt/ffmpeg/lib/pkgconfig
COPY . /app
# The root file system is read-only later: what can be compiled is compiled now, whatever times a builder gives the files.
RUN /opt/venv/bin/python -m compileall -q -f -j 0 --invalidation-mode unchecked-hash /opt/venv/lib /app \
    && printf '#!/bin/sh\nexec python -m cli "$@"\n' > /opt/venv/bin/yout \
    && chmod 755 /opt/venv/bin/yout

FROM python:3.12-slim-trixie

RUN groupadd --gid 10001 yout \
    && useradd --uid 10001 --gid yout --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin yout \
    && install --directory --owner yout --group yout --mode 700 /var/lib/yout
# The base image has the standard library as sources alone: each process and each health check would compile it anew.
RUN python -m compileall -q -f -j 0 --invalidation-mode unchecked-hash /usr/local/lib/python3.*
COPY --from=build /opt/ffmpeg/lib /opt/ffmpeg/lib
COPY --from=build /opt/venv /opt/venv
# The build ends here where the library does not find what it was built for.
RUN echo /opt/ffmpeg/lib > /etc/ld.so.conf.d/ffmpeg.conf && ldconfig && /opt/venv/bin/python -I -c "import av"
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    YOUT_HOST=0.0.0.0 \
    YOUT_STATE_DIR=/var/lib/yout \
    YOUT_LOG_FORMAT=json
WORKDIR /app
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=180s --retries=3 \
    CMD ["python", "-I", "-c", "import http.client, os, sys; api = http.client.HTTPConnection('localhost', int(os.environ.get('YOUT_PORT', '8080')), timeout=4); api.request('GET', '/healthz'); sys.exit(api.getresponse().status != 200)"]
CMD ["python", "-m", "api"]
