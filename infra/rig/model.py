"""A provider of models that speaks OpenAI's chat completions, with answers by the task that it is asked to do."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME = "compatible/scripted"
KEY = "sk-scripted-by-the-rig"
DRAFT = "Oolong stands between green and black tea."
FINAL = "Oolong: between green and black."
PARTS = ["leaves", "water", "time"]

# The flow `software`, as a model that can't follow long instructions is asked: by the words of each prompt.
SOFTWARE = {
    "Design this software": {
        "summary": "Keeps todos.",
        "stack": "Python",
        "components": [{"name": "store", "purpose": "Keeps what there is to do."}],
    },
    "Plan how to build": {
        "agreed": True,
        "shared_files": [],
        "tasks": [{"id": "t1", "title": "The store", "files": ["src/store.py"], "depends_on": []}],
    },
    "Write for each task in one sentence": {"orders": [{"task": "t1", "brief": "A list of todos."}]},
    "Write short, real content": {"files": [{"path": "src/store.py", "content": "TODOS = []\n"}], "summary": "The store."},
    "Is it good?": {"verdict": "pass", "findings": []},
    "Write a short README.md": {
        "files": [{"path": "README.md", "content": "# Todos\n"}],
        "summary": "A list of todos.",
        "status": "done",
        "ask": "nobody",
        "question": "none",
    },
}


def answer_to(prompt: str):
    """What is said to a prompt: a text, or a value that is to be JSON."""
    if "Answer with the word yes" in prompt:
        return "yes"
    if "Draft a text" in prompt:
        return DRAFT
    if "Shorten the draft" in prompt:
        return FINAL
    if "Name the parts" in prompt:
        return {"parts": PARTS}
    if "Describe the part" in prompt:
        return f"A part of tea, described. ({len(prompt)})"
    return next((answer for words, answer in SOFTWARE.items() if words in prompt), None)


class Models:
    """The server. What it was asked is kept in `requests`, as (key, prompt), and the models that were asked for in `names`."""

    def __init__(self):
        self.requests: list[tuple[str, str]] = []
        self.names: set[str] = set()
        self.held = threading.Event()
        self.held.set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        self.url = f"{self.origin}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def asked(self, text: str) -> int:
        """How many prompts held this text."""
        return sum(text in prompt for _, prompt in self.requests)

    def stop(self):
        self.held.set()
        self.server.shutdown()
        self.server.server_close()

    def _handler(self):
        models = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                texts = [message.get("content") for message in asked["messages"]]
                prompt = "\n".join(text if isinstance(text, str) else json.dumps(text) for text in texts)
                models.names.add(asked["model"])
                models.requests.append((self.headers.get("authorization", ""), prompt))
                models.held.wait(timeout=60)
                answer = answer_to(prompt)
                if answer is None:
                    return self._send(400, {"error": {"message": "no answer is scripted", "code": "no_rule"}})
                self._send(200, completion(asked, prompt, answer))

            def _send(self, status: int, body: dict):
                body = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler


def completion(asked: dict, prompt: str, answer) -> dict:
    """The answer in the form that the request wants: arguments of the tool that it forces, else text."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    message: dict = {"role": "assistant", "content": text}
    forced = asked.get("tool_choice")
    if isinstance(forced, dict) and not isinstance(answer, str):
        call = {"name": forced["function"]["name"], "arguments": text}
        message = {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": call}]}
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    usage = {"prompt_tokens": len(prompt) // 4 + 1, "completion_tokens": len(text) // 4 + 1}
    usage["total_tokens"] = sum(usage.values())
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": asked["model"], "choices": [choice], "usage": usage}
