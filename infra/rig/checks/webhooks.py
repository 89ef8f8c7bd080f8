"""Webhooks: who is told of a job, in which order, how often, and by whose hand."""

import json

from ..hooks import Hooks
from ..journey import ARTICLE
from ..say import check, within
from .journeys import CLOCK_S, Rig

# The first pause after a try that failed is about 5 s.
RETRY_S = 60


def told(rig: Rig, hooks: Hooks):
    """A job is told from its submission to its end; what isn't acknowledged comes again; an event can be had once more."""
    api = rig.api
    inside = api.ask("POST", "/v1/webhooks", {"url": "https://169.254.169.254/latest"})
    check(inside.status == 422, "no webhook leads to the metadata service", inside.body)
    made = api.ask("POST", "/v1/webhooks", {"url": f"http://{hooks.place}/hook", "events": ["*"]})
    check(made.status == 201, "a webhook is made, to a place that the operator allows", made.body)
    webhook, secret = made.json()["id"], made.json()["secret"]
    tested = api.ask("POST", f"/v1/webhooks/{webhook}/test", {})
    check(tested.status == 200 and tested.json()["delivered"], "a test of it is acknowledged", tested.body)
    hooks.answers.append(503)
    job = api.submit(ARTICLE, "told tea", notify=[{"webhook": webhook}])
    api.ended(job)
    is_told = lambda: [each for each in hooks.of(job) if each.json()["type"] == "job.ended"]
    within(RETRY_S, "its end is told", is_told)
    came = hooks.of(job)
    check(all(message.is_signed(secret) for message in came), f"all {len(came)} messages are signed with its secret")
    check(came[0].id == came[1].id, "the one that was answered with 503 comes again under the same id")
    once = {message.id: message.json() for message in came}
    check(len(once) == len(came) - 1, "and no other one comes twice", [message.id for message in came])
    seqs = [message["data"]["seq"] for message in once.values()]
    wanted = [event["seq"] for event in api.events(job)]
    check(seqs == wanted, "each of its events is told, in their order", (seqs, wanted))
    again(rig, hooks, (webhook, job))
    of_batch(rig, hooks, webhook)


def of_batch(rig: Rig, hooks: Hooks, webhook: str):
    """The jobs of a batch, summed up in one message when all have ended."""
    inputs = [{"topic": f"batch {number}"} for number in range(2)]
    job = {"flow": ARTICLE, "input": {}, "notify": [{"webhook": webhook}]}
    body = {"every_s": 86_400, "name": "batch", "job": job, "batch": {"inputs": inputs, "at_once": 2}}
    schedule = rig.api.ask("POST", "/v1/schedules", body).json()["id"]
    rig.api.ask("POST", f"/v1/schedules/{schedule}/run")
    summaries = lambda: [each for each in hooks.taken if each.json()["type"] == "run.ended"]
    # The clock sees to it.
    within(CLOCK_S, "the end of a batch is told", summaries)
    told = summaries()[0].json()["data"]
    check((told["schedule"], told["completed"], told["total"]) == (schedule, 2, 2), "the end of a batch is told, and what came of it", told)
    rig.api.ask("DELETE", f"/v1/schedules/{schedule}")


def again(rig: Rig, hooks: Hooks, of: tuple[str, str]):
    """By the command line with the owner's credentials alone: what was tried, and one event once more."""
    webhook, job = of
    tries = json.loads(rig.of_stack("webhooks", "deliveries", webhook, "--json"))["deliveries"]
    failed = [each for each in tries if not each["delivered"]]
    check([each.get("status") for each in failed] == [503], "the command line shows the try that failed", tries)
    last = next(each for each in tries if each["type"] == "job.ended")
    count = len(hooks.of(job))
    rig.of_stack("webhooks", "redeliver", webhook, last["id"])
    within(RETRY_S, "it is told again", lambda: len(hooks.of(job)) > count)
    check(hooks.of(job)[-1].id == last["message_id"], "an event that is redelivered has the id that it had")
