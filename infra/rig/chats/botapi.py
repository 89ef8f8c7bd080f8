"""Telegram's Bot API on a port of 127.0.0.1: npm's telegram-test-api keeps the talk; what it doesn't know is added here.

It knows neither documents, members, commands nor where updates go; its edits answer nothing; it never holds a question for
updates. It checks nothing either: that is done by the tests, against Telegram's own description.
"""

import contextlib
import email.parser
import email.policy
import json
import subprocess
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ..say import Failed, within

TOKEN = "4242:AAH-a-token-that-nobody-sees"
NAME = "TestNameBot"
HOLD_S = 2
START = """
const http = require('http');
const TelegramServer = require('telegram-test-api');
const probe = http.createServer().listen(0, '127.0.0.1', () => {
  const {port} = probe.address();
  probe.close(async () => {
    await new TelegramServer({host: '127.0.0.1', port, storeTimeout: 600}).start();
    console.log(`http://127.0.0.1:${port}`);
  });
});
"""


class BotApi:
    """The stand-in, and the bridge before it. `calls` are the methods that were called, `files` what was sent along."""

    def __init__(self, modules: Path):
        self.calls, self.files, self.admins, self.webhook, self.commands = [], [], set(), "", []
        self.ends = False
        self.process = subprocess.Popen(
            ["node", "-e", START], cwd=modules, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        self.behind = self.process.stdout.readline().strip()
        if not self.behind:
            raise Failed("telegram-test-api doesn't start")
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fields, files = read(self.headers.get("Content-Type", ""), body)
                answer = api.answer(self.path, fields, files)
                sent = json.dumps(answer).encode()
                self.send_response(answer.get("error_code", 200))
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                # Whoever asked may have ended.
                with contextlib.suppress(OSError):
                    self.wfile.write(sent)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str, fields: dict, files: list) -> dict:
        prefix = f"/bot{TOKEN}/"
        if not path.startswith(prefix):
            return {"ok": False, "error_code": 404, "description": "Not Found"}
        method = path.removeprefix(prefix)
        if method == "getUpdates":
            return {"ok": True, "result": self.updates()}
        self.calls.append(method)
        match method:
            case "getWebhookInfo":
                return {"ok": True, "result": {"url": self.webhook, "pending_update_count": 0}}
            case "setMyCommands":
                self.commands = fields["commands"]
                return {"ok": True, "result": True}
            case "getChatMember":
                status = "creator" if int(fields["user_id"]) in self.admins else "member"
                return {"ok": True, "result": {"status": status}}
            case "sendDocument":
                self.files.extend(files)
                fields["text"] = fields.pop("caption", "")
                return self.behind_it("sendMessage", fields)
            case "setWebhook" | "deleteWebhook":
                # The stand-in would call it; here it only stands.
                self.webhook = fields.get("url", "")
                return {"ok": True, "result": True}
            case _:
                answer = self.behind_it(method, fields)
                return {"ok": True, "result": True} if answer.get("ok") and answer.get("result") is None else answer

    def behind_it(self, method: str, fields: dict) -> dict:
        return post(f"{self.behind}/bot{TOKEN}/{method}", fields)

    def updates(self) -> list[dict]:
        """What has come in, as soon as there is something; what the stand-in leaves out of it is put there."""
        ends = time.monotonic() + HOLD_S
        while True:
            if self.webhook or self.ends:
                return []
            found = self.behind_it("getUpdates", {}).get("result") or []
            if found or time.monotonic() > ends:
                break
            time.sleep(0.05)
        for update in found:
            if "callback_query" in update:
                update["callback_query"]["chat_instance"] = "1"
        return found

    def messages(self, chat: int) -> list[dict]:
        """What the bot has said in a chat, as it stands now."""
        history = post(f"{self.behind}/getUpdatesHistory", {"token": TOKEN})["result"]
        said = [{**one["message"], "message_id": one["messageId"]} for one in history if "chat_id" in one.get("message", {})]
        return [one for one in said if int(one["chat_id"]) == chat]

    def stop(self):
        self.ends = True
        time.sleep(0.2)
        self.server.shutdown()
        self.server.server_close()
        self.process.terminate()
        self.process.wait(timeout=10)


class Person:
    """Somebody in a chat: alone with the bot where it is their own."""

    def __init__(self, api: BotApi, number: int, name: str, chat: int | None = None):
        self.api, self.chat = api, number if chat is None else chat
        self.who = {"id": number, "first_name": name, "is_bot": False}

    def place(self) -> dict:
        kind = {"type": "private", "first_name": "Somebody"} if self.chat > 0 else {"type": "supergroup", "title": "Crew"}
        return {"id": self.chat, **kind}

    def says(self, text: str, **more) -> dict:
        """Says something; the bot's next message."""
        before = len(self.hears())
        message = {"botToken": TOKEN, "from": self.who, "chat": self.place(), "date": int(time.time()), "text": text, **more}
        post(f"{self.api.behind}/sendMessage", message)
        return within(20, f"an answer to {text!r}", lambda: self.hears()[before:])[0]

    def replies(self, to: dict, text: str) -> dict:
        return self.says(text, reply_to_message=self.quoted(to))

    def presses(self, under: dict, label: str) -> int:
        """Presses a button; how often presses were answered before."""
        buttons = [button for row in under["reply_markup"]["inline_keyboard"] for button in row]
        data = next(button["callback_data"] for button in buttons if button["text"] == label)
        before = self.api.calls.count("answerCallbackQuery")
        press = {"botToken": TOKEN, "from": self.who, "message": self.quoted(under), "data": data}
        post(f"{self.api.behind}/sendCallback", press)
        within(20, f"an answer to the press of {label!r}", lambda: self.api.calls.count("answerCallbackQuery") > before)
        return before

    def hears(self) -> list[dict]:
        return self.api.messages(self.chat)

    def quoted(self, message: dict) -> dict:
        bot = {"id": int(TOKEN.split(":")[0]), "is_bot": True, "first_name": "Crew", "username": NAME}
        shown = {"message_id": message["message_id"], "date": int(time.time()), "chat": self.place(), "from": bot}
        markup = {"reply_markup": message["reply_markup"]} if "inline_keyboard" in message.get("reply_markup", {}) else {}
        return {**shown, "text": message["text"].replace("<i>", "").replace("</i>", ""), **markup}


def post(url: str, body: dict) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return {"ok": False, "error_code": error.code, "description": error.read().decode()}


def read(kind: str, body: bytes) -> tuple[dict, list]:
    """The fields and files of a call."""
    if not kind.startswith("multipart/"):
        return json.loads(body or b"{}"), []
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    form = parser.parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    fields, files = {}, []
    for part in form.iter_parts():
        content = part.get_payload(decode=True)
        if part.get_filename():
            files.append((part.get_filename(), content))
        else:
            fields[part.get_param("name", header="Content-Disposition")] = content.decode()
    return fields, files
