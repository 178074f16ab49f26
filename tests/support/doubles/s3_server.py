"""As much of S3 as the object store needs, in memory."""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

from storage.objects import ObjectStorage


class S3Server(ThreadingHTTPServer):
    """As much of S3 as the store needs, in memory."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), S3Handler)
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.uploads: dict[str, tuple[str, dict[int, bytes]]] = {}
        self.broken = False
        self.stuck: set[str] = set()
        """Objects that nobody may delete."""
        self.written_at = "2026-01-01T00:00:00Z"
        """What a listing says of every object."""

    @contextmanager
    def serving(self) -> Iterator[Self]:
        with self:
            thread = threading.Thread(target=self.serve_forever, args=(0.02,))
            thread.start()
            yield self
            self.shutdown()
            thread.join()


class S3Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: S3Server

    def log_message(self, *_: object) -> None: ...

    def do_PUT(self) -> None:
        key, query, body = self._request_parts()
        if "partNumber" in query:
            self.server.uploads[query["uploadId"]][1][int(query["partNumber"])] = body
        else:
            self.server.objects[key] = (body, self.headers.get("content-type", ""))
        self._answer(etag=body)

    def do_POST(self) -> None:
        key, query, body = self._request_parts()
        if "uploads" in query:
            upload = f"u{len(self.server.uploads)}"
            self.server.uploads[upload] = (self.headers.get("content-type", ""), {})
            self._answer(
                f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            )
        elif "delete" in query:
            results = [self._deleted(name) for name in re.findall(r"<Key>(.*?)</Key>", body.decode())]
            self._answer(f"<DeleteResult>{''.join(results)}</DeleteResult>")
        else:
            content_type, parts = self.server.uploads.pop(query["uploadId"])
            self.server.objects[key] = (b"".join(parts[number] for number in sorted(parts)), content_type)
            self._answer("<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")

    def do_DELETE(self) -> None:
        key, query, _ = self._request_parts()
        if "uploadId" in query:
            self.server.uploads.pop(query["uploadId"], None)
        elif key in self.server.stuck:
            self._answer(status=403)
            return
        else:
            self.server.objects.pop(key, None)
        self._answer(status=204)

    def _deleted(self, name: str) -> str:
        key = f"media/{name}"
        if key in self.server.stuck:
            return f"<Error><Key>{name}</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
        self.server.objects.pop(key, None)
        return f"<Deleted><Key>{name}</Key></Deleted>"

    def do_GET(self) -> None:
        key, query, _ = self._request_parts()
        if "list-type" in query:
            after = f"media/{query.get('start-after', '')}"
            below = sorted(name for name in self.server.objects if name.startswith(f"media/{query['prefix']}"))
            names = [name for name in below if name > after][: int(query.get("max-keys", 1000))]
            listed = "".join(
                f"<Contents><Key>{name.removeprefix('media/')}</Key><Size>{len(self.server.objects[name][0])}</Size>"
                f"<LastModified>{self.server.written_at}</LastModified><ETag>x</ETag></Contents>"
                for name in names
            )
            self._answer(f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>")
        elif key not in self.server.objects:
            self._answer(status=404)
        else:
            self._object(*self.server.objects[key])

    do_HEAD = do_GET

    def _object(self, content: bytes, content_type: str) -> None:
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        if span is None:
            self._answer(content, etag=content, content_type=content_type)
            return
        start, end = int(span[1]), min(int(span[2]) + 1, len(content))
        self.range = f"bytes {start}-{end - 1}/{len(content)}"
        self._answer(content[start:end], status=206, etag=content, content_type=content_type)

    def _request_parts(self) -> tuple[str, dict[str, str], bytes]:
        self.range = ""
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        return unquote(parts.path).lstrip("/"), query, self.rfile.read(int(self.headers.get("content-length") or 0))

    def _answer(
        self, body: str | bytes = b"", *, status: int = 200, etag: bytes = b"", content_type: str = "text/xml"
    ) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.send_response(403 if self.server.broken else status)
        self.send_header("content-length", str(len(content)))
        self.send_header("content-type", content_type)
        self.send_header("etag", f'"{hashlib.md5(etag).hexdigest()}"')
        self.send_header("last-modified", "Fri, 02 Jan 2026 03:04:05 GMT")
        if self.range:
            self.send_header("content-range", self.range)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def bucket(server: S3Server) -> ObjectStorage:
    options = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_REGION": "us-east-1",
    }
    return ObjectStorage.from_url("s3://media/some/prefix", options)
