#!/usr/bin/env python3
"""Sends a command to a device and tells each step until the device has it.

Exit code 0: it was acknowledged. 1: it was not, and the last line says why. 2: still under way after --wait.
"""

import argparse
import json
import threading
import uuid

import paho.mqtt.client as mqtt

FINAL = {"acked", "failed", "expired", "cancelled", "superseded"}


def field(text):
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError("write FIELD=VALUE, such as led=true")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value  # a bare word is a string


options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("device", metavar="DEVICE", help="name at home")
options.add_argument("fields", nargs="+", type=field, metavar="FIELD=VALUE")
options.add_argument("--host", default="localhost", help="the home broker")
options.add_argument("--port", type=int, default=1883)
options.add_argument("--base", default="ttn", help="base_topic in ttn-ferry.toml")
options.add_argument("--wait", type=float, default=3600, metavar="SECONDS")
options = options.parse_args()

# Our own id tells our steps from those of others.
downlink = {"id": f"paho-{uuid.uuid4()}", "fields": dict(options.fields), "confirmed": True}
topic = f"{options.base}/{options.device}/downlink"
over = threading.Event()
last = None


def on_connect(client, _userdata, _flags, reason, _properties=None):
    if reason == 0:
        client.subscribe(f"{topic}/state", 1)
    else:
        print(f"the broker refused: {reason}")
        over.set()


def on_subscribe(client, _userdata, _mid, *_granted):
    # Not before the broker listens for us: no step may be missed. And once: paho itself repeats what was not acknowledged.
    client.on_subscribe = None
    client.publish(f"{topic}/push", json.dumps(downlink), qos=1)


def on_message(client, _userdata, message):
    global last
    step = json.loads(message.payload)
    if step["id"] != downlink["id"]:
        return
    last = step["state"]
    print(step["at"], last, *(step[key] for key in ("reason", "hint") if key in step), flush=True)
    if last in FINAL:
        over.set()


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2) if hasattr(mqtt, "CallbackAPIVersion") else mqtt.Client()
client.on_connect = on_connect
client.on_subscribe = on_subscribe
client.on_message = on_message
client.connect(options.host, options.port)
client.loop_start()
over.wait(options.wait)
client.disconnect()
client.loop_stop()
if last is None:
    print("no answer: does the bridge run, and is this its base topic?")
raise SystemExit(0 if last == "acked" else 1 if over.is_set() else 2)
