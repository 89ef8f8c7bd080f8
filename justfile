# The recipes are the steps of .ci/run, built where a developer's own builds are.

export CARGO_TARGET_DIR := env("CARGO_TARGET_DIR", justfile_directory() / "target")

# the packages of the functions, built without each other's features
functions := "-p convoke-submit -p convoke-status -p convoke-artifacts -p convoke-control -p convoke-notify -p convoke-deliver -p convoke-clock -p convoke-discord -p convoke-telegram"

# lists the recipes
default:
    @just --list

# all that CI runs
ci:
    .ci/run

# every test of the workspace
test:
    .ci/run test

# the template with release bootstraps in an emulator of AWS (4 minutes after the build)
deploy:
    .ci/run deploy

# talks to a serving convoke in chats, over stand-ins of the platforms (half a minute after the build)
talk:
    .ci/run talk

# formatting, without changing anything
fmt:
    .ci/run fmt

# clippy over all targets, warnings are errors
lint:
    .ci/run lint

# licences, banned crates, sources
deny:
    .ci/run deny

# takes our guards away one by one: the simulation has to notice each (10 minutes)
mutants *names:
    tests/mutants/run {{ names }}

# what a step costs, as tables: speed, scale, submit, requests, wide, cost (in dollars), idle (a month at rest), or all
bench *filter:
    cargo bench --workspace --bench engine -- {{ filter }}

# writes the formatting
fix:
    cargo fmt --all

# kills a serving process four times while 96 jobs are under way
kills:
    cargo bench --workspace --bench kills

# what a cold start takes, beside a Python function that makes the same clients
cold:
    cargo build --profile lambda {{ functions }}
    cargo build --profile lambda-step -p convoke-step
    cargo bench --workspace --bench cold
