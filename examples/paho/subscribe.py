#!/usr/bin/env python3
"""Prints each reading of each device, or of those that are named, until Ctrl-C."""

import argparse
import json

import paho.mqtt.client as mqtt

options = argparse.ArgumentParser(description=__doc__)
options.add_argument("devices", nargs="*", metavar="DEVICE", help="name at home; all devices without one")
options.add_argument("--host", default="localhost", help="the home broker")
options.add_argument("--port", type=int, default=1883)
options.add_argument("--base", default="ttn", help="base_topic in ttn-ferry.toml")
options.add_argument("--count", type=int, help="end after this many readings")
options = options.parse_args()


def on_connect(client, _userdata, _flags, reason, _properties=None):
    if reason != 0:
        raise SystemExit(f"the broker refused: {reason}")
    # Subscribing here, and not once below, subscribes again after each reconnect.
    # A device's name may hold slashes, so `<base>/+/uplink` would miss some.
    client.subscribe([(f"{options.base}/{device}/uplink", 1) for device in options.devices] or (f"{options.base}/#", 1))


def on_message(client, _userdata, message):
    if not message.topic.endswith("/uplink"):
        return
    reading = json.loads(message.payload)
    # Without a codec, or when it failed, there are only bytes.
    fields = reading.get("fields") or {"payload_hex": reading["payload_hex"]}
    values = " ".join(f"{name}={json.dumps(value)}" for name, value in fields.items())
    late = " (late)" if reading["backfilled"] else ""
    print(f"{reading['at']} {reading['device']} {values}{late}", flush=True)
    if options.count is not None:
        options.count -= 1
        if options.count <= 0:
            client.disconnect()


# paho-mqtt 2 wants to be told which callbacks these are; 1.6, as in Debian 12, knows one kind only.
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2) if hasattr(mqtt, "CallbackAPIVersion") else mqtt.Client()
client.on_connect = on_connect
client.on_message = on_message
client.connect(options.host, options.port)
try:
    client.loop_forever()
except KeyboardInterrupt:
    pass
