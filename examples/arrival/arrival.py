#!/usr/bin/env python3
"""Switches something on when a tracker comes home."""

import argparse
import json
import math

import paho.mqtt.client as mqtt

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
options.add_argument("--host", default="localhost", help="the home broker")
options.add_argument("--port", type=int, default=1883)
options.add_argument("--base", default="ttn", help="base_topic in ttn-ferry.toml")
options.add_argument("--home", required=True, metavar="LATITUDE,LONGITUDE", help="where home is, in degrees")
options.add_argument("--radius", type=float, default=200.0, metavar="METRES", help="home is this wide")
options.add_argument("--tracker", default="tracker", help="the device that moves")
options.add_argument("--field", default="gps_1", help="its position: an object with latitude and longitude")
options.add_argument("--actor", default="living-room", help="the device that is switched")
options.add_argument("--switch", default="led", help="its command")
options = options.parse_args()

home = tuple(float(degrees) for degrees in options.home.split(","))
tracker, actor = (f"{options.base}/{device}" for device in (options.tracker, options.actor))
at_home = None


def distance(latitude, longitude):
    """Metres from home. A flat earth will do: near home it is right, and far away only \"far\" counts."""
    north = math.radians(latitude - home[0])
    east = math.radians(longitude - home[1]) * math.cos(math.radians(home[0]))
    return 6_371_000 * math.hypot(north, east)


def on_connect(client, _userdata, _flags, reason, _properties=None):
    if reason != 0:
        raise SystemExit(f"the broker refused: {reason}")
    client.subscribe(tracker, 1)


def on_message(client, _userdata, message):
    global at_home
    position = json.loads(message.payload).get(options.field)
    if not position:
        return
    metres = distance(position["latitude"], position["longitude"])
    # Gone is only who is twice as far: a position that wavers about the edge would come home again and again.
    now = metres <= options.radius * (1 if not at_home else 2)
    if now == at_home:
        return
    print(f"{options.tracker} is {'at home' if now else 'away'}, {metres:.0f} m", flush=True)
    # Where it was when we started is no arrival.
    if now and at_home is not None:
        print(f"{options.actor}: {options.switch} on", flush=True)
        client.publish(f"{actor}/set/{options.switch}", "true", qos=1)
    at_home = now


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2) if hasattr(mqtt, "CallbackAPIVersion") else mqtt.Client()
client.on_connect = on_connect
client.on_message = on_message
client.connect(options.host, options.port)
try:
    client.loop_forever()
except KeyboardInterrupt:
    pass
