//! The function in Python to compare with.

use std::path::{Path, PathBuf};
use std::process::Command;

const HANDLER: &str = "
import os

import boto3

table = boto3.client('dynamodb')
queues = boto3.client('sqs')
objects = boto3.client('s3')


def handler(event, context):
    table.get_item(TableName=os.environ['TABLE'], Key={'pk': {'S': 'x'}, 'sk': {'S': 'x'}})
    return {'statusCode': 404}
";

/// How to start it, in an environment of its own under the target folder; `None`, and said, where Python or its packages
/// can't be had.
pub fn command(target: &Path) -> Option<Vec<PathBuf>> {
    let folder = target.join("cold-python");
    let python = folder.join("bin/python");
    if !folder.join("lib").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "awslambdaric==4.2.2", "boto3==1.44.5"]))?;
    }
    std::fs::write(folder.join("handler.py"), HANDLER).ok()?;
    let start = format!(
        "import sys; sys.path.insert(0, {folder:?}); sys.argv = ['x', 'handler.handler']; \
         from awslambdaric.__main__ import main; main(sys.argv)",
        folder = folder.display().to_string()
    );
    Some(vec![python, "-c".into(), start.into()])
}

fn run(command: &mut Command) -> Option<()> {
    let ran = command.status().is_ok_and(|status| status.success());
    if !ran {
        println!("(no Python to compare with: {command:?} failed)");
    }
    ran.then_some(())
}
