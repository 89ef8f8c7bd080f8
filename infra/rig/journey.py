"""What a caller does with the API, and sees."""

import hashlib
import json
import time
import urllib.error
import urllib.parse
import urllib.request

from .say import Failed

JOB_S = 60
TERMINAL = {"completed", "failed", "cancelled"}


def agent(node: str, description: str, path: str, needs: list[str]) -> dict:
    task = {"description": description, "expected_output": "A text.", "output_file": path}
    return {"kind": "agent", "id": node, "needs": needs, "agent": "writer", "task": task}


# Two steps, one after the other.
ARTICLE = {
    "name": "article",
    "input": {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]},
    "agents": {"writer": {"role": "Writer", "goal": "Short texts", "backstory": "You wrote for newspapers."}},
    "nodes": [
        agent("draft", "Draft a text about {{ input.topic }}.", "draft.md", []),
        agent("polish", "Shorten the draft about {{ input.topic }}.", "texts/final.md", ["draft"]),
    ],
}

# A person is asked between the two.
REVIEWED = ARTICLE | {
    "name": "reviewed",
    "nodes": [
        ARTICLE["nodes"][0],
        {"kind": "review", "id": "approve", "needs": ["draft"], "question": "Shorten this?", "shows": ["draft.md"]},
        agent("polish", "Shorten the draft about {{ input.topic }}. {{ approve.output.comment }}", "texts/final.md", ["approve"]),
    ],
}

# A list, and a step for each of its items.
PARTS_SCHEMA = {
    "type": "object",
    "properties": {"parts": {"type": "array", "maxItems": 10, "items": {"type": "string"}}},
    "required": ["parts"],
}
FAN = ARTICLE | {
    "name": "fan",
    "nodes": [
        {
            "kind": "agent",
            "id": "split",
            "agent": "writer",
            "task": {"description": "Name the parts of {{ input.topic }}.", "expected_output": "A list.", "output": PARTS_SCHEMA},
        },
        {
            "kind": "map",
            "id": "work",
            "needs": ["split"],
            "over": "split.output.parts",
            "concurrency": 3,
            "node": {
                "kind": "agent",
                "agent": "writer",
                "task": {
                    "description": "Describe the part {{ item }}.",
                    "expected_output": "A paragraph.",
                    "output_file": "parts/{{ index }}.md",
                },
            },
        },
    ],
}


class Answer:
    """Status, headers and body of an answer."""

    def __init__(self, status: int, headers, body: bytes):
        self.status, self.headers, self.body = status, headers, body

    def json(self) -> dict:
        return json.loads(self.body)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)


def ask(method: str, url: str, body: bytes | None = None, headers: dict | None = None) -> Answer:
    request = urllib.request.Request(url, method=method, data=body, headers=headers or {})
    try:
        with OPENER.open(request, timeout=60) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())


class Api:
    """A client of the HTTP API."""

    def __init__(self, url: str, key: str):
        self.url, self.key = url, key

    def ask(self, method: str, path: str, body: dict | None = None, **headers: str) -> Answer:
        sent = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(method, self.url + path, json.dumps(body).encode() if body is not None else None, sent)

    def get(self, path: str) -> dict:
        answer = self.ask("GET", path)
        if answer.status != 200:
            raise Failed(f"GET {path} answers {answer.status}: {answer.body.decode()}")
        return answer.json()

    def submit(self, flow: dict, topic: str, **more) -> str:
        answer = self.ask("POST", "/v1/jobs", {"flow": flow, "input": {"topic": topic}} | more)
        if answer.status != 202:
            raise Failed(f"a submission is answered {answer.status}: {answer.body.decode()}")
        return answer.json()["id"]

    def ended(self, job: str, seconds: float = JOB_S) -> dict:
        """The job as it stands when it has ended."""
        return self.comes_to(job, TERMINAL, seconds)

    def comes_to(self, job: str, states: set[str], seconds: float = JOB_S) -> dict:
        """The job as it stands when it has come to one of the states."""
        ends = time.monotonic() + seconds
        while True:
            view = self.get(f"/v1/jobs/{job}")
            if view["status"] in states:
                return view
            if time.monotonic() > ends:
                raise Failed(f"the job is {view['status']} after {seconds:g} s: {json.dumps(view)}")
            time.sleep(0.2)

    def events(self, job: str, seconds: float = 30) -> list[dict]:
        """All events up to the end of the job, which come a little later than the end itself."""
        ends = time.monotonic() + seconds
        while True:
            page = self.get(f"/v1/jobs/{job}/events?limit=500")
            if page["ended"]:
                return page["events"]
            if time.monotonic() > ends:
                raise Failed(f"the events don't end: {json.dumps(page)}")
            time.sleep(0.2)

    def download(self, job: str, file: dict) -> bytes:
        """A file by its presigned URL, checked against what its listing says."""
        answer = self.ask("GET", f"/v1/jobs/{job}/artifacts/{urllib.parse.quote(file['path'])}")
        if answer.status != 302:
            raise Failed(f"{file['path']} is answered {answer.status}: {answer.body.decode()}")
        got = ask("GET", answer.headers["location"])
        if got.status != 200 or hashlib.sha256(got.body).hexdigest() != file["sha256"]:
            raise Failed(f"{file['path']} isn't what its listing says: {got.status}")
        return got.body
