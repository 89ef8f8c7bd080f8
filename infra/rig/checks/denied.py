"""The functions' roles: each allowed call beside one that differs in a single thing, and is denied.

The emulator knows no `dynamodb:LeadingKeys`: that partitions of callers' keys are read alone, tests/template holds.
"""

from botocore.exceptions import ClientError

from ..say import Failed, check
from .journeys import Rig

KEY = {"pk": {"S": "T#nobody"}, "sk": {"S": "-"}}
CALLER = {"pk": {"S": "KEY#none"}, "sk": {"S": "-"}}


class Role:
    """Clients of AWS with a function's role."""

    def __init__(self, rig: Rig, function: str):
        name = rig.resources[f"{function}Role"]
        arn = f"arn:aws:iam::000000000000:role/{name}"
        session = rig.stack.client("sts").assume_role(RoleArn=arn, RoleSessionName="rig")["Credentials"]
        self.stack = rig.stack
        self.credentials = {
            "aws_access_key_id": session["AccessKeyId"],
            "aws_secret_access_key": session["SecretAccessKey"],
            "aws_session_token": session["SessionToken"],
        }

    def __getattr__(self, service: str):
        return self.stack.client(service, **self.credentials)


def is_denied(call) -> bool:
    """Whether the policies are against a call; other refusals (there is no such thing) are none of theirs."""
    try:
        call()
    except ClientError as error:
        return "AccessDenied" in error.response["Error"]["Code"] or error.response["Error"]["Code"] == "403"
    return False


def tls_only(rig: Rig):
    """The bucket's policy refuses whoever comes without TLS, as all do here: it is seen, and taken away."""
    role, bucket = Role(rig, "Step"), rig.resources["Bucket"]
    put = lambda: role.s3.put_object(Bucket=bucket, Key="jobs/nobody/x", Body=b"x")
    check(is_denied(put), "the bucket refuses a request without TLS")
    rig.stack.client("s3").delete_bucket_policy(Bucket=bucket)
    check(not is_denied(put), "and nothing else keeps the request from it")


def roles(rig: Rig):
    """Every function did its work with its own role in the journeys before; here is what that role may not do."""
    twins = 0
    for function, told in calls(rig).items():
        role = Role(rig, function)
        for may, allowed, may_not, denied in told:
            if is_denied(lambda: allowed(role)):
                raise Failed(f"{function} has to be allowed to {may}")
            if not is_denied(lambda: denied(role)):
                raise Failed(f"{function} must not be allowed to {may_not}")
            check(True, f"{function} may {may}, but not {may_not}")
            twins += 1
    check(twins >= 20, f"{twins} denied calls, each beside an allowed one")


def calls(rig: Rig) -> dict[str, list]:
    """By function: what it may do, and what it may not."""
    names = rig.resources
    table, bucket, steps, solo = names["Table"], names["Bucket"], names["Steps"], names["Solo"]
    dead, deliveries = names["EventsDead"], names["Deliveries"]
    get = lambda key: lambda role: role.dynamodb.get_item(TableName=table, Key=key)
    put = lambda key: lambda role: role.dynamodb.put_item(TableName=table, Item=key)
    drop = lambda key: lambda role: role.dynamodb.delete_item(TableName=table, Key=key)
    due = lambda index, name: lambda role: role.dynamodb.query(
        TableName=table,
        IndexName=index,
        KeyConditionExpression="#k = :k",
        ExpressionAttributeNames={"#k": name},
        ExpressionAttributeValues={":k": {"S": "T#nobody"}},
    )
    scan = lambda role: role.dynamodb.scan(TableName=table)
    read = lambda key: lambda role: role.s3.get_object(Bucket=bucket, Key=key)
    write = lambda key: lambda role: role.s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    remove = lambda key: lambda role: role.s3.delete_object(Bucket=bucket, Key=key)
    listing = lambda role: role.s3.list_objects_v2(Bucket=bucket, Prefix="jobs/")
    send = lambda queue: lambda role: role.sqs.send_message(QueueUrl=queue, MessageBody="{}", DelaySeconds=900)
    receive = lambda queue: lambda role: role.sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0)
    depth = lambda queue: lambda role: role.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])
    secret = lambda name: lambda role: role.ssm.get_parameter(Name=name, WithDecryption=True)
    scripted, bot, other_bot, others = "/convoke/scripted", "/convoke/discord", "/convoke/telegram", "/convoke/others"
    rig.stack.client("ssm").put_parameter(Name=others, Value="x", Type="SecureString", Overwrite=True)
    return {
        "Submit": [
            ("put a job", put(KEY), "delete one", drop(KEY)),
            ("read an upload", read("uploads/nobody/x"), "read what jobs made", read("jobs/nobody/x")),
            ("put an input", write("jobs/nobody/x"), "put an upload", write("uploads/nobody/x")),
            ("ring for a step", send(steps), "ring for one alone", send(solo)),
        ],
        "Status": [
            ("read a job", get(KEY), "write one", put(KEY)),
            ("list a tenant's jobs", due("GSI1", "gpk1"), "look for what is due", due("GSI2", "gpk2")),
            ("read a result", read("jobs/nobody/x"), "write one", write("jobs/nobody/x")),
            ("look up a caller's key", get(CALLER), "look at all keys", scan),
        ],
        "Artifacts": [
            ("hand out what a job made", read("jobs/nobody/x"), "list what others made", listing),
            ("take an upload", write("uploads/nobody/x"), "replace what a job made", write("jobs/nobody/x")),
            ("read a job", get(KEY), "write one", put(KEY)),
        ],
        "Control": [
            ("ring for a step", send(steps), "take a bell away", receive(steps)),
            ("put a retry's input", write("jobs/nobody/x"), "delete one", remove("jobs/nobody/x")),
            ("delete a schedule", drop(KEY), "look at everything", scan),
            ("put a schedule's inputs", write("schedules/nobody/x"), "put an upload", write("uploads/nobody/x")),
        ],
        "Step": [
            ("read its key of the model's provider", secret(scripted), "read another secret", secret(others)),
            ("put a result", put(KEY), "delete one", drop(KEY)),
            ("answer a bell", receive(solo), "read dead letters", receive(names["StepsDead"])),
            ("put a file", write("jobs/nobody/x"), "delete one", remove("jobs/nobody/x")),
            ("read a schedule's inputs", read("schedules/nobody/x"), "write them", write("schedules/nobody/x")),
        ],
        "Notify": [
            ("bury a record", send(dead), "ring for a step", send(steps)),
            ("put an event", put(KEY), "delete one", drop(KEY)),
            ("read a flow", read("jobs/nobody/x"), "write one", write("jobs/nobody/x")),
        ],
        "Deliver": [
            ("answer its own bell", receive(deliveries), "take a step's away", receive(steps)),
            ("ring itself", send(deliveries), "ring for a step", send(steps)),
            ("attach what a job made", read("jobs/nobody/x"), "write it", write("jobs/nobody/x")),
            ("put down a try", put(KEY), "list a tenant's jobs", due("GSI1", "gpk1")),
            ("read the token of a bot", secret(bot), "read a key of a model's provider", secret(scripted)),
        ],
        "Discord": [
            ("read its token", secret(bot), "read a key of a model's provider", secret(scripted)),
            ("list a tenant's jobs", due("GSI1", "gpk1"), "look for what is due", due("GSI2", "gpk2")),
            ("ring for a step", send(steps), "take a bell away", receive(steps)),
            ("keep what was attached", write("uploads/nobody/x"), "delete what a job made", remove("jobs/nobody/x")),
        ],
        "Telegram": [
            ("read its token", secret(other_bot), "read that of the other bot", secret(bot)),
            ("list a tenant's jobs", due("GSI1", "gpk1"), "look for what is due", due("GSI2", "gpk2")),
            ("ring for a step", send(steps), "take a bell away", receive(steps)),
            ("keep what was attached", write("uploads/nobody/x"), "delete what a job made", remove("jobs/nobody/x")),
        ],
        "Clock": [
            ("look for what is due", due("GSI2", "gpk2"), "list a tenant's jobs", due("GSI1", "gpk1")),
            ("ask how deep the queue is", depth(steps), "take a bell away", receive(steps)),
            ("read a flow", read("jobs/nobody/x"), "read a secret", secret(scripted)),
            ("put a job", put(KEY), "put an upload", write("uploads/nobody/x")),
        ],
    }
