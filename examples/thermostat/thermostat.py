#!/usr/bin/env python3
"""Switches an air conditioner by a room's temperature: on when it is cold, off when it is warm again."""

import argparse
import json

import paho.mqtt.client as mqtt

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
options.add_argument("--host", default="localhost", help="the home broker")
options.add_argument("--port", type=int, default=1883)
options.add_argument("--base", default="ttn", help="base_topic in ttn-ferry.toml")
options.add_argument("--sensor", default="living-room", help="the device that measures")
options.add_argument("--field", default="temperature", help="its field")
options.add_argument("--actor", default="air-conditioner", help="the device that is switched")
options.add_argument("--switch", default="power", help="its command, and the field that reports it")
options.add_argument("--on-at", type=float, default=18.0, metavar="°C", help="on at this temperature and below")
options.add_argument("--off-at", type=float, default=22.0, metavar="°C", help="off at this temperature and above")
options = options.parse_args()

sensor, actor = (f"{options.base}/{device}" for device in (options.sensor, options.actor))
# What the actor was told last, or says of itself: it is told nothing twice, for a downlink is dear.
# A command under way is newer than any report.
switched = None


def wanted(temperature):
    """True, False, or None between the two limits: then all stays as it is."""
    if temperature <= options.on_at:
        return True
    if temperature >= options.off_at:
        return False
    return None


def on_connect(client, _userdata, _flags, reason, _properties=None):
    if reason != 0:
        raise SystemExit(f"the broker refused: {reason}")
    # States are retained: the newest comes at once. The actor's first, so that it is known when the sensor's comes.
    client.subscribe([(actor, 1), (f"{actor}/downlink/state", 1), (sensor, 1)])


def on_message(client, _userdata, message):
    global switched
    told = json.loads(message.payload)
    if message.topic == actor:
        if switched is None:
            switched = told.get(options.switch)
    elif message.topic == sensor:
        decide(client, told.get(options.field))
    elif not message.retain and told["state"] in ("failed", "expired", "cancelled"):
        print(f"a command {told['state']}: {told.get('reason', '')}", flush=True)
        switched = None  # the next reading decides anew


def decide(client, temperature):
    global switched
    if temperature is None or wanted(temperature) in (None, switched):
        return
    switched = wanted(temperature)
    print(f"{temperature} °C: {options.actor} {'on' if switched else 'off'}", flush=True)
    client.publish(f"{actor}/set/{options.switch}", json.dumps(switched), qos=1)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2) if hasattr(mqtt, "CallbackAPIVersion") else mqtt.Client()
client.on_connect = on_connect
client.on_message = on_message
client.connect(options.host, options.port)
try:
    client.loop_forever()
except KeyboardInterrupt:
    pass
