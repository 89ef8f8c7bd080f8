# The recipes are the steps of .ci/run, built where a developer's own builds are.

export CARGO_TARGET_DIR := env("CARGO_TARGET_DIR", justfile_directory() / "target")

# this machine's processor, as the template calls it
architecture := if arch() == "aarch64" { "arm64" } else { "x86_64" }

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

# what a cold start takes (needs sam and cargo-lambda), beside a Python function that makes the same clients
cold:
    sam build --parameter-overrides ParameterKey=Architecture,ParameterValue={{ architecture }}
    cargo bench --workspace --bench cold
