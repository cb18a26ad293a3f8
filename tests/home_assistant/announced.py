"""What the bridge announced, read from the broker, to be compared with what Home Assistant made of it."""

import json
import time
from dataclasses import dataclass

import paho.mqtt.client as mqtt

PREFIX = "homeassistant"


@dataclass
class Announced:
    """One entity."""

    component: str
    unique_id: str
    config: dict
    device: dict
    form: str

    def __str__(self) -> str:
        return f"{self.component} {self.unique_id}"

    def differs_from(self, entry: dict) -> list[str]:
        """How its entry in the registry differs from what was announced."""
        disabled = None if self.config.get("enabled_by_default", True) else "integration"
        wanted = {
            "original_name": self.config.get("name"),
            "entity_category": self.config.get("entity_category"),
            "disabled_by": disabled,
        }
        return [
            f"{self}: {key} is {entry.get(key)!r}, announced {value!r}"
            for key, value in wanted.items()
            if entry.get(key) != value
        ]

    def shown_otherwise(self, state: dict) -> list[str]:
        """How its state's attributes differ from what was announced."""
        keys = ["unit_of_measurement", "device_class", "state_class"]
        keys += {"number": ["min", "max", "step"], "select": ["options"]}.get(self.component, [])
        return [
            f"{self}: {key} is {state['attributes'].get(key)!r}, announced {self.config.get(key)!r}"
            for key in keys
            if state["attributes"].get(key) != self.config.get(key)
        ]


def read(port: int) -> dict[str, Announced]:
    """Everything that is retained below the prefix, by unique id."""
    retained: dict[str, bytes] = {}

    def hear(_client, _data, message):
        retained[message.topic] = message.payload

    versions = {"callback_api_version": mqtt.CallbackAPIVersion.VERSION2} if hasattr(mqtt, "CallbackAPIVersion") else {}
    client = mqtt.Client(**versions)
    client.on_message = hear
    client.connect("127.0.0.1", port)
    client.subscribe(f"{PREFIX}/+/+/config")
    client.subscribe(f"{PREFIX}/+/+/+/config")
    deadline, last = time.monotonic() + 10, -1
    while time.monotonic() < deadline and last != len(retained):
        last = len(retained)
        quiet = time.monotonic() + 1
        while time.monotonic() < quiet:
            client.loop(0.1)
    client.disconnect()
    return {one.unique_id: one for topic, body in retained.items() if body for one in entities(topic, json.loads(body))}


def entities(topic: str, body: dict) -> list[Announced]:
    component = topic.split("/")[1]
    if component != "device":
        # What moves to the other form is announced without anything first.
        return [Announced(component, body["unique_id"], body, body["device"], "entity")] if "unique_id" in body else []
    # One that goes is announced once more with its platform alone.
    there = [one for one in body.get("components", {}).values() if "unique_id" in one]
    return [Announced(one["platform"], one["unique_id"], one, body["device"], "device") for one in there]
