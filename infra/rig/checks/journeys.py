"""Jobs, from their submission to their files."""

import json
import subprocess
import time
from pathlib import Path

from .. import model
from ..journey import ARTICLE, FAN, JOB_S, Api, ask
from ..model import Models
from ..say import Failed, check, note, within
from ..stack import Stack

# The clock ticks each minute, and a job is due a minute after its submission.
CLOCK_S = 200
KEY_PARAMETER = "/convoke/scripted"
CLI_S = 120


class Rig:
    """What checks work with."""

    def __init__(self, stack: Stack, models: Models, cli: Path):
        self.stack, self.models, self.cli, self.folder = stack, models, cli, stack.run / "user"
        self.resources = stack.resources()
        # The emulator has no DNS: this path leads where the URL of the API does.
        api = stack.outputs()["Url"].split("//")[1].split(".")[0]
        self.url = f"{stack.emulator.url}/_aws/execute-api/{api}/$default"
        self.key = ""

    @property
    def api(self) -> Api:
        return Api(self.url, self.key)

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """Runs the command line as the stack's owner does."""
        environment = self.stack.emulator.client_environment() | {"HOME": str(self.folder), "NO_PROXY": "*"}
        return subprocess.run(
            [self.cli, *arguments], env=environment, cwd=self.folder, capture_output=True, text=True, timeout=CLI_S
        )

    def convoke(self, *arguments: str) -> str:
        """Runs it; answers what it prints."""
        run = self.run(*arguments)
        if run.returncode:
            raise Failed(f"convoke {' '.join(arguments[:3])} ends with {run.returncode}: {run.stdout}{run.stderr}")
        return run.stdout

    def of_stack(self, *arguments: str) -> str:
        """The same for a command that is told the stack, and no key. The URL, since there is no DNS."""
        return self.convoke(*arguments, "--stack", self.stack.name, "--url", self.url)


def by_command_line(rig: Rig):
    """Deploy -> key -> job -> files, without a request of one's own."""
    rig.folder.mkdir()
    rig.key = rig.convoke("keys", "create", "rig", "--stack", rig.stack.name).strip()
    check(rig.key.startswith("cvk_"), "convoke keys create --stack makes a key")
    listed = rig.convoke("keys", "list", "--stack", rig.stack.name)
    check(rig.key[:10] in listed, "convoke keys list --stack shows it")
    flow, out = rig.folder / "article.json", rig.folder / "made"
    flow.write_text(json.dumps(ARTICLE))
    began = time.monotonic()
    told = rig.convoke(
        "run", "--flow", str(flow), "--input", "topic=tea", "--out", str(out), "--json", "--url", rig.url, "--key", rig.key
    )
    note(f"the job took {time.monotonic() - began:.1f} s, cold starts in it")
    check(json.loads(told)["job"]["status"] == "completed", "convoke run works on the stack and exits with 0", told)
    check((out / "texts/final.md").read_text().strip() == model.FINAL, "its files are on the disk", list(out.iterdir()))
    bearers = {bearer for bearer, _ in rig.models.requests}
    check(bearers == {f"Bearer {model.KEY}"}, "steps call the model with the key that only SSM has")
    rig.convoke("keys", "create", "spare", "--stack", rig.stack.name)


def by_its_owner(rig: Rig):
    """Without a key: the stack's name, and credentials."""
    told = rig.of_stack("doctor")
    for part in ("0 dead letters", KEY_PARAMETER, f"{model.NAME} answers", "tenants      local", "0 wrong"):
        check(part in told, f"convoke doctor --stack says {part!r}", told)
    tenants = json.loads(rig.convoke("tenants", "--json", "--stack", rig.stack.name))["tenants"]
    check([(each["tenant"], each["keys"]) for each in tenants] == [("local", 2)], "convoke tenants --stack lists them", tenants)
    flow = str(rig.folder / "article.json")
    made = json.loads(
        rig.of_stack("schedules", "create", "--flow", flow, "--input", "topic=tea", "--every", "1d", "--json")
    )
    check(made["id"] in rig.of_stack("schedules", "list"), "convoke schedules --stack makes and lists one")
    rig.of_stack("schedules", "delete", made["id"])
    check(made["id"] not in rig.of_stack("schedules", "list"), "and deletes it")
    listed = json.loads(rig.of_stack("jobs", "list", "--json"))["jobs"]
    check(len(listed) == 1, "convoke jobs --stack shows the job of before", listed)
    others = json.loads(rig.of_stack("jobs", "list", "--json", "--tenant", "others"))["jobs"]
    check(others == [], "and another tenant none of it", others)
    left = rig.convoke("keys", "list", "--stack", rig.stack.name).strip().splitlines()
    check(len(left) == 2, "no key that a command made for itself is left", left)


def by_http(rig: Rig):
    api = rig.api
    check(ask("GET", rig.url + "/health").status == 200, "GET /health needs no key")
    check(Api(rig.url, "cvk_" + "x" * 43).ask("GET", "/v1/jobs").status == 401, "a key that was never made is refused")
    check(api.ask("DELETE", "/v1/jobs").status == 405, "another method is answered 405")
    check(api.ask("GET", "/v2/jobs").json()["code"] == "route_not_found", "what no route takes is answered as a problem")
    body = {"flow": FAN, "input": {"topic": "tea"}}
    first = api.ask("POST", "/v1/jobs", body, Idempotency_Key="once")
    again = api.ask("POST", "/v1/jobs", body, Idempotency_Key="once")
    check(first.status == 202, "POST /v1/jobs is answered 202", first.body)
    job = first.json()["id"]
    check(again.json()["id"] == job, "the same idempotency key is the same job")
    view = api.ended(job)
    check((view["status"], view["stop_reason"]) == ("completed", "completed"), "the job completes", view)
    check(rig.models.asked("Describe the part") == len(model.PARTS), "each item of its map was worked on once")
    events = api.events(job)
    numbers = [event["seq"] for event in events]
    check(numbers == list(range(1, len(events) + 1)), "its events are numbered without a gap", numbers)
    kinds = [event["type"] for event in events]
    check((kinds[0], kinds[-1]) == ("job.submitted", "job.ended"), "from its submission to its end", kinds)
    listed = api.get(f"/v1/jobs/{job}/artifacts")["artifacts"]
    for file in listed:
        api.download(job, file)
    check(len(listed) == len(model.PARTS) + 3, f"{len(listed)} files come by presigned URL, as their SHA-256 says", listed)
    check(job in [each["id"] for each in api.get("/v1/jobs")["jobs"]], "it is among the tenant's jobs")
    cancelled(rig)
    uploaded(rig)


def cancelled(rig: Rig):
    """A job that is cancelled while a call is under way, and tried again."""
    api = rig.api
    rig.models.held.clear()
    job = api.submit(ARTICLE, "cancelled tea")
    within(30, "the call is under way", lambda: rig.models.asked("cancelled tea"))
    answer = api.ask("POST", f"/v1/jobs/{job}/cancel", {})
    rig.models.held.set()
    check(answer.status == 202, "a running job can be cancelled", answer.body)
    check(api.ended(job)["stop_reason"] == "cancelled", "and ends so")
    retried = api.ask("POST", f"/v1/jobs/{job}/retry", {}).json()["id"]
    check(api.ended(retried)["status"] == "completed", "a retry of it completes")


def uploaded(rig: Rig):
    """A file that comes by presigned PUT, and a submission that names one that never came."""
    api, text = rig.api, b"Tea comes from Camellia sinensis."
    upload = api.ask("POST", "/v1/uploads", {"name": "notes.md", "bytes": len(text)}).json()
    put = ask("PUT", upload["url"], text, upload["headers"])
    check(put.status == 200, "an upload is taken", put.body)
    flow = ARTICLE | {"input": {"type": "object"}}
    body = {"flow": flow, "input": {"topic": "tea with notes", "files": [upload["id"]]}}
    answer = api.ask("POST", "/v1/jobs", body)
    check(answer.status == 202, "a submission may name it", answer.body)
    check(api.ended(answer.json()["id"])["status"] == "completed", "and completes")
    absent = api.ask("POST", "/v1/uploads", {"name": "absent.md", "bytes": 1}).json()
    refused = api.ask("POST", "/v1/jobs", {"flow": flow, "input": {"topic": "x", "files": [absent["id"]]}})
    check(refused.status == 422, "one that never came is the caller's mistake", refused.body)


def scheduled(rig: Rig):
    """A batch of a schedule, run now: its inputs come by an upload, and one job makes room for the next."""
    api = rig.api
    lines = b"".join(json.dumps({"topic": f"tea {number}"}).encode() + b"\n" for number in range(3))
    upload = api.ask("POST", "/v1/uploads", {"name": "topics.jsonl", "bytes": len(lines)}).json()
    ask("PUT", upload["url"], lines, upload["headers"])
    batch = {"file": upload["id"], "at_once": 1}
    body = {"every_s": 86_400, "job": {"flow": ARTICLE, "input": {}}, "batch": batch}
    made = api.ask("POST", "/v1/schedules", body)
    check(made.status == 201, "a schedule is made", made.body)
    schedule = made.json()["id"]
    run = api.ask("POST", f"/v1/schedules/{schedule}/run")
    check(run.status == 202, "and run at once", run.body)
    done = lambda: [run for run in api.get(f"/v1/schedules/{schedule}/runs")["runs"] if run.get("ended_at")]
    view = within(JOB_S, "the run ends", done)[0]
    check(view["completed"] == view["total"] == len(lines.splitlines()), "each of its inputs was a job, one after the other", view)
    check(api.ask("DELETE", f"/v1/schedules/{schedule}").status == 204, "a schedule can be deleted")


def lost_bell(rig: Rig):
    """A submission whose message gets lost: the clock finds the job by the table."""
    client, sqs = rig.stack.client("lambda"), rig.stack.client("sqs")
    mapping = rig.resources["StepSource"]
    client.update_event_source_mapping(UUID=mapping, Enabled=False)
    # A poll that is under way may still take what comes.
    time.sleep(2)
    job = rig.api.submit(ARTICLE, "forgotten tea")
    sqs.purge_queue(QueueUrl=rig.resources["Steps"])
    client.update_event_source_mapping(UUID=mapping, Enabled=True)
    check(rig.api.get(f"/v1/jobs/{job}")["status"] == "queued", "a job whose bell is lost stands still")
    began = time.monotonic()
    view = rig.api.ended(job, CLOCK_S)
    check(view["status"] == "completed", f"the clock found it: completed {time.monotonic() - began:.0f} s later", view)
