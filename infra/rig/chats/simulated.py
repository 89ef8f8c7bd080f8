"""simcord behind sockets: its REST API over HTTP, and a gateway that hands a bot what people do.

What simcord doesn't implement fails the talk, as does a call that it refuses: nothing is let pass.
"""

import asyncio
import io
import json
import threading
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import simcord.http.routes  # noqa: F401  (importing it registers the routes)
from aiohttp import WSMsgType, web
from simcord._clock import Clock
from simcord.backend import Backend, serializers
from simcord.backend.errors import BackendError
from simcord.http import router
from simcord.interactions import base_payload, check_options, nest_options, walk_to_subcommand

from ..say import Failed, within

TOKEN = "token-of-the-stand-in"
PUBLIC_KEY = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c"
FILES_BYTES_MAX = 16 << 20
# Discord's own: an answer, or that it takes a while.
ANSWER_S = 3
COMMAND, COMPONENT, COMPLETE, MODAL = 2, 3, 4, 5


class RealClock(Clock):
    """Discord's time is everybody's, plus what was leapt over."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.elapsed)


class Discord:
    """The stand-in. Its state is touched in its own thread alone."""

    def __init__(self):
        self.backend = Backend(clock=RealClock())
        self.endpoint: str | None = None
        self.refused: list[str] = []
        self.nonces: dict[str, dict] = {}
        self.sockets: list[web.WebSocketResponse] = []
        self.sequence = 0
        self._loop = asyncio.new_event_loop()
        self._ready: Future[int] = Future()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.port = self._ready.result(timeout=30)
        self.url = f"http://127.0.0.1:{self.port}/api/v10"

    def _serve(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._loop.run_forever()

    async def _start(self):
        app = web.Application(client_max_size=FILES_BYTES_MAX)
        app.router.add_get("/gateway", self._gateway)
        app.router.add_get("/gateway/", self._gateway)
        app.router.add_route("*", "/api/v10/{path:.*}", self._rest)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._ready.set_result(site._server.sockets[0].getsockname()[1])

    def stop(self):
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(timeout=30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=30)

    def look(self, what):
        """What a function of the backend answers, in the stand-in's thread."""

        async def looked():
            return what(self.backend)

        return asyncio.run_coroutine_threadsafe(looked(), self._loop).result(timeout=30)

    # ------------------------------------------------------------------ REST

    async def _rest(self, request: web.Request) -> web.Response:
        path = "/" + request.match_info["path"]
        if path.startswith("/gateway"):
            limit = {"total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": 1}
            url = f"ws://127.0.0.1:{self.port}/gateway"
            return web.json_response({"url": url, "shards": 1, "session_start_limit": limit})
        by_bot = request.headers.get("authorization") == f"Bot {TOKEN}"
        if not by_bot and not path.startswith(("/interactions/", "/webhooks/")):
            return self._refuse(request, path, 401, {"code": 0, "message": "401: Unauthorized"})
        if path == "/applications/@me":
            if request.method == "PATCH":
                self.endpoint = (await request.json())["interactions_endpoint_url"]
            return web.json_response(self._application())
        body, files = await self._body(request)
        nonce = body.get("nonce") if isinstance(body, dict) and body.get("enforce_nonce") else None
        if nonce is not None and nonce in self.nonces:
            return web.json_response(self.nonces[nonce])
        try:
            done = router.dispatch(
                self.backend, request.method, path, json=body, params=dict(request.query), files=files
            )
        except (router.RouteNotImplemented, router.UnsupportedField) as gap:
            return self._refuse(request, path, 501, {"code": 0, "message": str(gap)})
        except BackendError as error:
            return self._refuse(request, path, error.status, error.to_json())
        if nonce is not None:
            self.nonces[nonce] = done
        return web.json_response(done) if done is not None else web.Response(status=204)

    def _refuse(self, request: web.Request, path: str, status: int, told: dict) -> web.Response:
        self.refused.append(f"{request.method} {path}: {status} {json.dumps(told)}")
        return web.json_response(told, status=status)

    async def _body(self, request: web.Request):
        if not request.content_type.startswith("multipart/"):
            text = await request.text()
            return (json.loads(text) if text else None), []
        body, files = None, []
        async for part in await request.multipart():
            content = await part.read()
            if part.name == "payload_json":
                body = json.loads(content)
            else:
                files.append(SimpleNamespace(fp=io.BytesIO(content), filename=part.filename, description=None))
        return body, files

    def _application(self) -> dict:
        return {
            "id": str(self.backend.application_id),
            "name": self.backend.bot_user.name,
            "verify_key": PUBLIC_KEY,
            "interactions_endpoint_url": self.endpoint,
        }

    # --------------------------------------------------------------- gateway

    async def _gateway(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"op": 10, "d": {"heartbeat_interval": 41250}})
        async for message in socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            said = json.loads(message.data)
            if said["op"] == 1:
                await socket.send_json({"op": 11})
            elif said["op"] == 2 and said["d"]["token"].removeprefix("Bot ") != TOKEN:
                await socket.close(code=4004, message=b"Authentication failed.")
            elif said["op"] == 2:
                await self._dispatch(socket, "READY", self._ready_event())
                self.sockets.append(socket)
        if socket in self.sockets:
            self.sockets.remove(socket)
        return socket

    def _ready_event(self) -> dict:
        return {
            "v": 10,
            "user": dict(serializers.user_payload(self.backend.bot_user)),
            "guilds": [],
            "session_id": "session",
            "resume_gateway_url": f"ws://127.0.0.1:{self.port}/gateway",
            "shard": [0, 1],
            "application": {"id": str(self.backend.application_id), "flags": 0},
        }

    async def _dispatch(self, socket: web.WebSocketResponse, name: str, data: dict):
        self.sequence += 1
        await socket.send_json({"op": 0, "t": name, "s": self.sequence, "d": data})

    def listening(self):
        """Waits until a bot listens."""
        within(30, "the bot listens to the gateway", lambda: bool(self.sockets), pause=0.05)

    def _happens(self, build):
        """Has something happen; the record of the interaction once it is answered."""

        async def happen():
            record, payload = build(self.backend)
            if payload.get("guild_id"):
                payload["authorizing_integration_owners"] = {"0": payload["guild_id"]}
            for socket in self.sockets:
                await self._dispatch(socket, "INTERACTION_CREATE", payload)
            return record

        record = asyncio.run_coroutine_threadsafe(happen(), self._loop).result(timeout=30)
        within(ANSWER_S + 1, "the interaction is answered", lambda: record.responded, pause=0.02)
        return record


class Person:
    """Somebody in a channel, with what they can do in their client."""

    def __init__(self, discord: Discord, name: str, place: tuple[int | None, int]):
        self.discord, (self.guild, self.channel) = discord, place
        self.id = discord.look(lambda backend: backend.make_user(name.lower(), global_name=name).id)
        if self.guild is not None:
            discord.look(lambda backend: backend.add_member(self.guild, self.id))

    def _interaction(self, kind: int, data: dict, within_channel: int | None = None):
        channel = within_channel or self.channel
        return lambda backend: base_payload(
            backend, type=kind, channel_id=channel, guild_id=self.guild, user_id=self.id, data=data
        )

    def command(self, words: str, **options):
        """`/crew WORDS`, as far as what was registered lets them."""
        return self.discord._happens(self._interaction(COMMAND, self._crew(words, options)))

    def completions(self, words: str, option: str, typed: str) -> list[str]:
        """What is offered while they type an option."""
        data = self._crew(words, {option: typed}, partial=True)
        leaf = data["options"]
        for _ in words.split():
            leaf = leaf[0]["options"]
        leaf[0]["focused"] = True
        record = self.discord._happens(self._interaction(COMPLETE, data))
        return [choice["value"] for choice in record.autocomplete_choices or []]

    def _crew(self, words: str, options: dict, partial: bool = False) -> dict:
        commands = self.discord.look(lambda backend: list(backend.commands.get(None, {}).values()))
        crew = next((command for command in commands if command["name"] == "crew"), None)
        if crew is None:
            raise Failed("/crew isn't registered")
        leaf, nesting = walk_to_subcommand(crew, words.split())
        check_options(f"crew {words}", leaf, options, partial=partial)
        kinds = {option["name"]: option["type"] for option in leaf.get("options") or []}
        given = [{"name": name, "type": kinds[name], "value": value} for name, value in options.items()]
        return {"id": crew["id"], "name": "crew", "type": 1, "options": nest_options(crew, nesting, given)}

    def press(self, message: dict, label: str):
        """Presses a button of a message that they see."""
        buttons = [button for row in message["components"] for button in row["components"]]
        button = next((button for button in buttons if button.get("label") == label), None)
        if button is None:
            raise Failed(f"there is no button {label!r}: {[button.get('label') for button in buttons]}")
        return self._on(message, COMPONENT, {"custom_id": button["custom_id"], "component_type": 2})

    def fill_in(self, opened, text: str, message: dict | None = None):
        """Sends the window off that answered an interaction."""
        if opened.modal is None:
            raise Failed(f"no window was opened: {opened.response_kind}")
        field = opened.modal["components"][0]["components"][0]
        rows = [{"type": 1, "components": [{"type": 4, "custom_id": field["custom_id"], "value": text}]}]
        data = {"custom_id": opened.modal["custom_id"], "components": rows}
        if message is None:
            return self.discord._happens(self._interaction(MODAL, data))
        return self._on(message, MODAL, data)

    def _on(self, message: dict, kind: int, data: dict):
        channel, number = int(message["channel_id"]), int(message["id"])

        def build(backend: Backend):
            record, payload = self._interaction(kind, data, channel)(backend)
            record.source_message_id = number
            shown = serializers.message_payload(backend, backend.get_message(channel, number))
            return record, payload | {"message": dict(shown)}

        return self.discord._happens(build)

    def sees(self, record) -> dict:
        """The message that answers an interaction, once it is there."""
        return within(30, "an answer to read", lambda: self._answer(record), pause=0.05)

    def _answer(self, record) -> dict | None:
        if record.message_id is None or record.loading:
            return None
        channel = record.channel_id

        def shown(backend: Backend):
            message = backend.get_message(channel, record.message_id)
            if not message.visible_to(self.id):
                raise Failed("the answer is for somebody else")
            return dict(serializers.message_payload(backend, message)) | {"ephemeral": message.is_ephemeral}

        return self.discord.look(shown)

    def messages(self, channel: int) -> list[dict]:
        """What they see in a channel or thread, oldest first."""

        def shown(backend: Backend):
            there = sorted(backend.messages.get(channel, {}).items())
            seen = [message for _, message in there if message.visible_to(self.id)]
            return [dict(serializers.message_payload(backend, message)) for message in seen]

        return self.discord.look(shown)


def text_of(message: dict) -> str:
    """What a message says."""
    embeds = [f"{embed.get('title', '')}\n{embed.get('description', '')}" for embed in message["embeds"]]
    return "\n".join([message["content"], *embeds])
