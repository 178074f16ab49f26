"""Stands in for the API: answers, and takes one key. Told to be stubborn, it does not stop when asked."""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        refused = self.path == "/api/chat/limit/" and self.headers["Authorization"] != "Bearer sk-stub"
        self.send_response(401 if refused else 200)
        self.end_headers()

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        chosen = self.path == "/api/auth/reset/confirm/" and sent["token"] == "stub" and len(sent["password"]) > 8
        self.send_response(204 if chosen else 400)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return None


if __name__ == "__main__":
    if os.environ.get("STUB_API") == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["YOUT_PORT"])), Handler).serve_forever()
