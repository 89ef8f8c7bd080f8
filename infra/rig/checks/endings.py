"""What comes twice, what can't be read, and how a stack changes and goes."""

import json
import time

from botocore.exceptions import ClientError

from ..journey import ARTICLE, REVIEWED
from ..say import check, note, within
from .journeys import Rig


def depth(rig: Rig, queue: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = rig.stack.client("sqs").get_queue_attributes(QueueUrl=rig.resources[queue], AttributeNames=names)
    return sum(int(answer["Attributes"][name]) for name in names)


def stream_again(rig: Rig):
    """The whole stream once more, from its beginning: events are numbered once, whatever is delivered twice."""
    before = {job["id"]: rig.api.events(job["id"]) for job in rig.api.get("/v1/jobs?limit=100")["jobs"]}
    client = rig.stack.client("lambda")
    mapping = client.get_event_source_mapping(UUID=rig.resources["NotifySource"])
    again = client.create_event_source_mapping(
        EventSourceArn=mapping["EventSourceArn"],
        FunctionName=mapping["FunctionArn"],
        StartingPosition="TRIM_HORIZON",
        BatchSize=10,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    # A job after it: once its events are there twice over, so is all that was before it in the stream.
    last = rig.api.submit(ARTICLE, "tea again")
    rig.api.ended(last)
    rig.api.events(last)
    processed = lambda: "No records" not in client.get_event_source_mapping(UUID=again["UUID"])["LastProcessingResult"]
    within(60, "the stream is delivered again", processed)
    time.sleep(3)
    client.delete_event_source_mapping(UUID=again["UUID"])
    after = {job: rig.api.events(job) for job in before}
    events = sum(map(len, before.values()))
    check(after == before, f"{events} events of {len(before)} jobs, delivered twice, are told once")
    check(depth(rig, "EventsDead") == 0, "no record of the stream had to be buried")


def poison(rig: Rig):
    """A message that is no bell: it is tried, buried, and sent back."""
    sqs, steps, dead = rig.stack.client("sqs"), rig.resources["Steps"], rig.resources["StepsDead"]
    usual = sqs.get_queue_attributes(QueueUrl=steps, AttributeNames=["VisibilityTimeout"])["Attributes"]
    # Five deliveries, an hour and a half apart, would be a long wait.
    sqs.set_queue_attributes(QueueUrl=steps, Attributes={"VisibilityTimeout": "1"})
    try:
        sqs.send_message(QueueUrl=steps, MessageBody="no bell")
        job = rig.api.submit(ARTICLE, "tea beside poison")
        check(rig.api.ended(job)["status"] == "completed", "a job beside it goes on")
        within(60, "it is buried", lambda: depth(rig, "StepsDead") == 1)
        note("five deliveries, then the dead-letter queue")
        seen = rig.run("doctor", "--no-calls", "--stack", rig.stack.name, "--url", rig.url)
        wrong = [line for line in seen.stdout.splitlines() if line.startswith("✗")]
        check(seen.returncode == 1 and len(wrong) == 1 and "1 dead letters" in wrong[0], "the doctor finds it", seen.stdout)
        send_back(rig)
        within(60, "it is buried again, since nothing has changed", lambda: depth(rig, "StepsDead") == 1)
        check(depth(rig, "Steps") == 0, "sent back, it is buried again while it is still poison")
        sqs.purge_queue(QueueUrl=dead)
    finally:
        sqs.set_queue_attributes(QueueUrl=steps, Attributes=usual)


def send_back(rig: Rig):
    """What `aws sqs start-message-move-task` does, which the emulator doesn't know."""
    sqs = rig.stack.client("sqs")
    dead = rig.resources["StepsDead"]
    messages = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.send_message(QueueUrl=rig.resources["Steps"], MessageBody=message["Body"])
        sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])
    check([message["Body"] for message in messages] == ["no bell"], "the dead letter is as it was sent", messages)


def update(rig: Rig, packaged, parameters: dict[str, str]):
    """Parameters change; what was made stays."""
    asks = rig.api.submit(REVIEWED, "reviewed tea")
    rig.api.comes_to(asks, {"awaiting_review"})
    before = {job["id"] for job in rig.api.get("/v1/jobs?limit=100")["jobs"]}
    watched = {"AlarmTopicArn": "arn:aws:sns:us-east-1:000000000000:operators", "Dashboard": "true"}
    rig.stack.deploy(packaged, parameters | watched | {"BudgetUsd": "0.25", "LogLevel": "debug"})
    after = rig.stack.resources()
    check(rig.resources.items() <= after.items(), "an update replaces nothing")
    added = sorted(after.keys() - rig.resources.keys())
    alarms = [name for name in added if name.endswith("Alarm")]
    check(len(alarms) == 15 and len(added) == 17, "and adds what it names: alarms, the metric of one, a dashboard", added)
    dashboard(rig, after)
    job = rig.api.submit(ARTICLE, "updated tea")
    check(rig.api.get(f"/v1/jobs/{job}")["budget"]["usd"] == "0.25", "functions have the new settings")
    check(rig.api.ended(job)["status"] == "completed", "and work")
    check(before < {job["id"] for job in rig.api.get("/v1/jobs?limit=100")["jobs"]}, "jobs of before are there")
    decided(rig, asks)


def dashboard(rig: Rig, resources: dict[str, str]):
    """It is JSON however many bots there are, and shows every function."""
    body = rig.stack.client("cloudwatch").get_dashboard(DashboardName=resources["Overview"])["DashboardBody"]
    widgets = {widget["properties"]["title"]: widget["properties"]["metrics"] for widget in json.loads(body)["widgets"]}
    shown = {metric[3] for metric in widgets["Errors of functions"]}
    functions = {each["FunctionName"] for each in rig.stack.client("lambda").list_functions()["Functions"]}
    check(shown == functions, f"the dashboard shows {len(shown)} functions", shown ^ functions)


def decided(rig: Rig, job: str):
    """A person was asked before the update, and decides after it."""
    url = f"/v1/jobs/{job}/reviews/approve"
    check(rig.api.get(url)["state"] == "requested", "what people were asked before it is still open")
    answer = rig.api.ask("POST", url, {"decision": "approve", "comment": "Mind the leaves."})
    check(answer.status == 200, "and can be decided", answer.body)
    late = rig.api.ask("POST", url, {"decision": "reject"})
    check((late.status, late.json()["code"]) == (409, "review_decided"), "once", late.body)
    check(rig.api.ended(job)["status"] == "completed", "the job goes on with the decision")
    check(rig.models.asked("Mind the leaves.") > 0, "which its next step is told")


def delete(rig: Rig, packaged, parameters: dict[str, str]):
    """By default what was made outlives the stack; who says so gets rid of it, too."""
    rig.stack.deploy(packaged, parameters | {"DataPolicy": "Delete", "DeletionProtection": "false"})
    bucket = rig.resources["Bucket"]
    rig.stack.tool("aws", "s3", "rm", "--recursive", "--only-show-errors", f"s3://{bucket}")
    rig.stack.delete()
    try:
        rig.stack.client("dynamodb").describe_table(TableName=rig.resources["Table"])
        gone = False
    except ClientError as error:
        gone = error.response["Error"]["Code"] == "ResourceNotFoundException"
    check(gone, "the stack is gone, and its table with it")
    names = [each["FunctionName"] for each in rig.stack.client("lambda").list_functions()["Functions"]]
    check(names == [], "no function is left", names)

    rig.stack.deploy(packaged, parameters | {"DeletionProtection": "false"})
    kept = rig.stack.resources()
    rig.stack.delete()
    table = rig.stack.client("dynamodb").describe_table(TableName=kept["Table"])["Table"]
    check(table["TableStatus"] == "ACTIVE", "by default the table outlives its stack")
    rig.stack.client("s3").head_bucket(Bucket=kept["Bucket"])
    check(True, "and so does the bucket")
