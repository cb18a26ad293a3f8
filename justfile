# `just` lists these; each is one line, so that nobody needs just to run them.

_default:
    @just --list

# The page anew, after a change in ui/
page:
    scripts/page build

# Everything that continuous integration checks
ci:
    .ci/run

# All tests; arguments go on to `cargo test`
test *arguments:
    scripts/test {{arguments}}

# Clippy, with the bans of clippy.toml
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Format everything
fmt:
    cargo fmt --all

# The documentation of the code, private items included
doc:
    cargo doc --workspace --no-deps --document-private-items --open

# The whole bridge in one process
demo *arguments:
    cargo run --release --locked -- demo {{arguments}}

# How fast the bridge is, beside a plain Mosquitto bridge; needs mosquitto
bench:
    cargo bench --locked --bench bridge

# 1,000 devices announced to Home Assistant: messages, bytes, time
bench-discovery:
    cargo bench --locked --bench discovery

# What the store writes for each uplink, and how fast
bench-store:
    cargo bench --locked --bench store

# What the history of uplinks takes and how fast it is read: 1,000 devices for 30 days, or as many as are given
bench-history *arguments:
    cargo bench --locked --bench history -- {{arguments}}

# What a scrape and fifty open pages cost; needs mosquitto
bench-watching:
    cargo bench --locked --bench watching

# Nothing lost, nothing doubled, at length: 20,000 uplinks and 2,000 downlinks through every trouble; 20 minutes
soak *arguments:
    scripts/soak {{arguments}}

# A real Home Assistant against the demo; another version: `just ha-check 2026.2.1 device`
ha-check *arguments:
    scripts/ha-check {{arguments}}

# RabbitMQ as the home broker
rabbitmq-check:
    scripts/rabbitmq-check

# nginx and Caddy before bridges, with the lines that the guide shows
proxy-check:
    scripts/proxy-check

# Fuzz a parser of strangers' bytes: `just fuzz cayenne_lpp 600`; without arguments, which there are
fuzz *arguments:
    scripts/fuzz {{arguments}}

# How fast codecs are
bench-codecs:
    cargo bench --locked -p payload-codecs

# Known vulnerabilities among the dependencies; needs cargo-deny and the network
audit:
    cargo deny --workspace --locked check advisories
