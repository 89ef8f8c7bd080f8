"""The template, deployed by the tools that users have."""

import json
import re
import subprocess
from pathlib import Path

import boto3

from .emulator import REGION, Emulator
from .say import Failed

CODE_BUCKET = "convoke-rig-code"
TOOL_S = 300
# A permission of AWS, and what the emulator calls the other calls that it is for.
TWINS = {
    "sqs:SendMessage": "sqs:SendMessageBatch",
    "bedrock:InvokeModel": "bedrock:Converse",
    "bedrock:InvokeModelWithResponseStream": "bedrock:ConverseStream",
}


def twins(statement: dict) -> list[dict]:
    """The statements that the emulator wants beside one."""
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    wanted = [TWINS[action] for action in actions if action in TWINS]
    return [statement | {"Action": wanted, "Sid": f"{statement['Sid']}Twins"}] if wanted else []


class Stack:
    """A stack of the template in the emulator."""

    def __init__(self, emulator: Emulator, tools: Path, run: Path, name: str):
        self.emulator, self.tools, self.run, self.name = emulator, tools, run, name

    def client(self, service: str, **more):
        """A client with the owner's credentials."""
        credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test"} | more
        return boto3.client(service, region_name=REGION, endpoint_url=self.emulator.url, **credentials)

    def tool(self, *command: str) -> str:
        """Runs a tool of a user's; what it says where it fails is the failure."""
        run = subprocess.run(
            [self.tools / command[0], *command[1:]],
            env=self.emulator.client_environment(),
            capture_output=True,
            text=True,
            timeout=TOOL_S,
        )
        if run.returncode:
            raise Failed(f"{' '.join(command[:3])} ended with {run.returncode}:\n{run.stdout}{run.stderr}{self._why()}")
        return run.stdout

    def _why(self) -> str:
        try:
            events = self.client("cloudformation").describe_stack_events(StackName=self.name)["StackEvents"]
        except Exception as error:  # the failure that is told is the tool's
            return f"(no events: {error})"
        failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
        return "\n".join(f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in failed)

    def package(self, template: Path, zips: dict[str, Path]) -> Path:
        """Uploads the bootstraps; answers the template that names them where they are."""
        text, count = re.subn(r"CodeUri: (?:functions|bots)/(\w+)", lambda found: f"CodeUri: {zips[found[1]]}", template.read_text())
        if count != len(zips):
            raise Failed(f"the template has {count} functions, built are {len(zips)}")
        prepared, packaged = self.run / "prepared.yaml", self.run / "packaged.yaml"
        prepared.write_text(text)
        self.client("s3").create_bucket(Bucket=CODE_BUCKET)
        self.tool(
            "aws", "cloudformation", "package",
            "--template-file", str(prepared), "--s3-bucket", CODE_BUCKET, "--output-template-file", str(packaged),
        )
        return packaged

    def deploy(self, packaged: Path, parameters: dict[str, str]):
        """Makes the stack, or changes it."""
        self.tool(
            "aws", "cloudformation", "deploy",
            "--template-file", str(packaged), "--stack-name", self.name, "--s3-bucket", CODE_BUCKET,
            "--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND",
            "--parameter-overrides", *[f"{name}={value}" for name, value in parameters.items()],
        )
        self._count_concurrency()
        self._allow_what_the_emulator_asks_for()

    def _allow_what_the_emulator_asks_for(self):
        """Where AWS has one permission for several calls, the emulator wants one for each: who may do the one gets the
        others, on the same resources."""
        iam = self.client("iam")
        for name in [physical for logical, physical in self.resources().items() if logical.endswith("Role")]:
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
                also = [more for each in document["Statement"] for more in twins(each)]
                if also and policy != "twins":
                    own = json.dumps({"Version": "2012-10-17", "Statement": also})
                    iam.put_role_policy(RoleName=name, PolicyName="twins", PolicyDocument=own)

    def _count_concurrency(self):
        """AWS makes a number of a mapping's `ScalingConfig` that comes from a parameter; the emulator keeps it as text,
        and then can't poll."""
        client = self.client("lambda")
        for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
            # What the client shows is a number already.
            if "ScalingConfig" in mapping:
                client.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig=mapping["ScalingConfig"])

    def outputs(self) -> dict[str, str]:
        stack = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def resources(self) -> dict[str, str]:
        """What the template's resources are called, by their names in it."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.name)
        found = [resource for page in pages for resource in page["StackResourceSummaries"]]
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}

    def write_logs(self):
        """What the functions logged, into a file of the run."""
        logs = self.client("logs")
        with open(self.run / "functions.log", "w") as file:
            for group in logs.describe_log_groups()["logGroups"]:
                pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
                for event in (event for page in pages for event in page["events"]):
                    file.write(f"{group['logGroupName'].rsplit('/', 1)[-1]} {event['message'].strip()}\n")

    def delete(self):
        """Deletes the stack and waits for it."""
        self.tool("aws", "cloudformation", "delete-stack", "--stack-name", self.name)
        self.tool("aws", "cloudformation", "wait", "stack-delete-complete", "--stack-name", self.name)
