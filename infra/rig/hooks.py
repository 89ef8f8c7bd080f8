"""A place that is told of jobs: it checks each message as a receiver of webhooks does, and keeps it."""

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Message:
    """A message as it came."""

    def __init__(self, headers: dict[str, str], body: bytes):
        self.headers, self.body = headers, body
        self.id = headers.get("webhook-id", "")

    def json(self) -> dict:
        return json.loads(self.body)

    def is_signed(self, secret: str) -> bool:
        """As README.md has it."""
        if abs(time.time() - int(self.headers["webhook-timestamp"])) > 300:
            return False
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        good = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return any(hmac.compare_digest(good, given) for given in self.headers["webhook-signature"].split())


class Hooks:
    """The server. Messages are kept in `taken`; the next ones are answered with `answers`, all others with 200."""

    def __init__(self):
        self.taken: list[Message] = []
        self.answers: list[int] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.place = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, job: str) -> list[Message]:
        """What was told of a job, in the order in which it came."""
        return [message for message in self.taken if message.json()["data"].get("job") == job]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def _handler(self):
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                hooks.taken.append(Message(headers, body))
                self.send_response(hooks.answers.pop(0) if hooks.answers else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        return Handler
