"""Looks at ttn-ferry through the eyes of a real Home Assistant. Started by scripts/ha-check."""

import argparse
import asyncio
import contextlib
import shutil
import signal
import sys
import time
from pathlib import Path

from announced import Announced, read
from hass import Hass
from processes import Process, ended, free_port, mosquitto

#: What it says about itself, whoever talks to it, and of the broker that is killed.
KNOWN = (
    "running Python version",
    "isal are not available",
    "Disconnected from MQTT server",
    "The connection was lost",
)
#: What it says of each device whose form changed, though it asks for just that.
MIGRATED = "No device components to cleanup"
#: How long anything may take that takes seconds.
PATIENCE = 90

#: What a user of the demo must find, whatever the announcements say: domain, part of the entity's id, unit, class.
EXPECTED = [
    ("sensor", "living_room_temperature", "°C", "temperature"),
    ("sensor", "living_room_humidity", "%", "humidity"),
    ("sensor", "living_room_battery", "V", "voltage"),
    ("switch", "living_room_led", None, None),
    ("number", "living_room_interval", "s", None),
    ("switch", "mbed_node_led", None, None),
    ("sensor", "greenhouse_temperature", "°C", "temperature"),
    ("device_tracker", "tracker", None, None),
]


class Check:
    def __init__(self, arguments: argparse.Namespace):
        self.arguments, self.folder = arguments, arguments.folder.resolve()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.broker = mosquitto(self.folder, self.port)
        ferry = str(arguments.ferry.resolve())
        home = f"mqtt://127.0.0.1:{self.port}"
        demo = [ferry, "demo", "--no-broker", "--home", home, "--speed", "2", "--discovery", arguments.form]
        self.demo = Process("demo", demo, self.folder)
        self.hass = Hass(arguments.hass.resolve(), self.folder, free_port())
        self.ports = {"port": self.port, "mqtt": free_port(), "http": free_port()}
        look_alike = [str(arguments.look_alike.resolve()), str(self.ports["mqtt"]), str(self.ports["http"])]
        self.stack = Process("look-alike", look_alike, self.folder, cwd=self.folder)
        self.second = Process("second", [ferry, "run", "--config", "second.toml"], self.folder, cwd=self.folder)
        self.announced: dict[str, Announced] = {}
        self.first_ids: set[str] = set()

    def processes(self) -> list[Process]:
        return [self.broker, self.demo, self.hass.process, self.stack, self.second]

    async def run(self) -> None:
        self.broker.start()
        self.demo.start()
        await self.hass.start()
        await self.hass.set_up(self.port)
        await self.step("every entity exists", self.everything_exists())
        await self.step("units, classes, names and categories are as announced", self.as_announced())
        await self.step("what a user of the demo expects is there", self.as_expected())
        await self.step("every entity has a value", self.has_values())
        await self.step("states move", self.states_move())
        await self.step("a pressed switch reaches the node, and shows what it reports", self.switch())
        await self.step("a number that was set comes back from the node", self.number())
        await self.step("the tracker is on the map", self.tracker())
        await self.step("the bridge is killed: nothing is available; it starts again: all as before", self.bridge_restart())
        await self.step("Home Assistant starts again: all as before", self.hass_restart())
        await self.step("a second bridge: a silent device falls and returns, its neighbour stays", self.silence())
        if self.arguments.form == "device":
            await self.step("the second bridge is announced in the other form, and back: all as before", self.other_form())
        await self.step("the broker forgets everything: all of the second bridge as before", self.broker_restart())
        await self.step("nothing in Home Assistant's log is about us", self.log())

    async def step(self, what: str, doing) -> None:
        started = time.monotonic()
        told = await doing
        print(f"ok  {time.monotonic() - started:6.1f} s  {what}{': ' + told if told else ''}", flush=True)

    async def until(self, what: str, found, patience: float = PATIENCE):
        """Asks again until there is something; what is missing is said if it never comes."""
        deadline, last = time.monotonic() + patience, None
        while time.monotonic() < deadline:
            for process in self.processes():
                process.check()
            with contextlib.suppress(OSError):
                last = await found()
                if last is True or (last and last is not None and not isinstance(last, Missing)):
                    return last
            await asyncio.sleep(0.5)
        raise SystemExit(f"FAILED: {what}: {last}")

    async def everything_exists(self) -> str:
        async def all_there():
            self.announced = await asyncio.to_thread(read, self.port)
            registered = await self.registered()
            missing = [str(one) for one in self.announced.values() if one.unique_id not in registered]
            enough = len(self.announced) > 20 and any(one.component == "device_tracker" for one in self.announced.values())
            return Missing(missing or f"only {len(self.announced)} announced") if missing or not enough else True

        await self.until("entities in Home Assistant's registry", all_there)
        self.first_ids = await self.ids()
        (devices,) = await self.hass.ask("config/device_registry/list")
        ours = [device for device in devices if any(part[0] == "mqtt" for part in device["identifiers"])]
        names = sorted(device["name"] for device in ours)
        return f"{len(self.announced)} entities of {len(ours)} devices ({', '.join(names)})"

    async def ids(self) -> set[str]:
        return {entity["entity_id"] for entity in (await self.registered()).values()}

    async def registered(self) -> dict[str, dict]:
        """What of the announced is in the registry, and whatever else is there of the same devices."""
        (entities,) = await self.hass.ask("config/entity_registry/list")
        ours = [entity for entity in entities if entity["platform"] == "mqtt"]
        devices = {entity["device_id"] for entity in ours if entity["unique_id"] in self.announced}
        return {entity["unique_id"]: entity for entity in ours if entity["device_id"] in devices}

    async def as_announced(self) -> str:
        registered, wrong = await self.registered(), []
        for one in self.announced.values():
            wrong += one.differs_from(registered[one.unique_id])
        states, compared = await self.hass.states(), 0
        for one in self.announced.values():
            state = states.get(registered[one.unique_id]["entity_id"])
            if state:
                wrong += one.shown_otherwise(state)
                compared += 1
        if wrong:
            raise SystemExit("FAILED: " + "\n".join(wrong))
        return f"{compared} states and {len(registered)} registry entries compared"

    async def as_expected(self) -> None:
        states = await self.hass.states()
        for domain, part, unit, device_class in EXPECTED:
            found = [state for name, state in states.items() if name.startswith(f"{domain}.") and part in name]
            if not found:
                raise SystemExit(f"FAILED: no {domain} with {part} in its id; there are {sorted(states)}")
            attributes = found[0]["attributes"]
            if unit != attributes.get("unit_of_measurement") or (device_class and device_class != attributes.get("device_class")):
                raise SystemExit(f"FAILED: {found[0]}")

    async def has_values(self) -> str:
        return await self.until("values", self.all_valued)

    async def all_valued(self):
        """Every enabled entity is available, and every sensor knows something."""
        registered, states = await self.registered(), await self.hass.states()
        ours = {entity["entity_id"] for entity in registered.values() if not entity["disabled_by"]}
        lacking = sorted(name for name in ours if self.lacks(name, states.get(name)))
        return Missing(lacking) if lacking else f"{len(ours)} enabled"

    @staticmethod
    def lacks(name: str, state: dict | None) -> bool:
        if state is None or state["state"] == "unavailable":
            return True
        # A button was never pressed, and a device that was never told anything has no last downlink.
        quiet = name.startswith("button.") or "downlink" in name
        return state["state"] == "unknown" and not quiet

    async def states_move(self) -> str:
        seen: set[str] = set()

        async def moves():
            seen.add(await self.value("sensor", "living_room_temperature"))
            return len(seen) >= 3

        await self.until("three temperatures", moves)
        return ", ".join(sorted(seen))

    async def entity(self, domain: str, part: str) -> dict:
        states = await self.hass.states()
        found = [state for name, state in states.items() if name.startswith(f"{domain}.") and part in name]
        if not found:
            raise SystemExit(f"FAILED: no {domain} with {part} in its id")
        return found[0]

    async def value(self, domain: str, part: str) -> str:
        return (await self.entity(domain, part))["state"]

    async def switch(self) -> str:
        lamp = await self.entity("switch", "living_room_led")
        before, wanted = lamp["state"], "off" if lamp["state"] == "on" else "on"
        pending: set[str] = set()
        await self.hass.call("switch", f"turn_{wanted}", entity_id=lamp["entity_id"])

        async def reported():
            state = await self.entity("switch", "living_room_led")
            if state["attributes"].get("pending") is not None:
                pending.add(f"{state['attributes']['pending']} pending while {state['state']}")
            return state["state"] == wanted

        await self.until(f"the LED {wanted}", reported)
        if not pending:
            raise SystemExit("FAILED: the pending value was never seen")

        async def settled():
            state = await self.entity("switch", "living_room_led")
            return state["attributes"].get("pending") is None

        await self.until("no pending value", settled)
        return f"{before} to {wanted}; on the way: {', '.join(sorted(pending))}"

    async def number(self) -> str:
        interval = await self.entity("number", "living_room_interval")
        await self.hass.call("number", "set_value", entity_id=interval["entity_id"], value=120)

        async def reported():
            return float(await self.value("number", "living_room_interval")) == 120

        await self.until("an interval of 120 s", reported)
        return f"{interval['state']} to 120"

    async def tracker(self) -> str:
        attributes = (await self.entity("device_tracker", "tracker"))["attributes"]
        return f"{float(attributes['latitude']):.4f}, {float(attributes['longitude']):.4f}"

    async def bridge_restart(self) -> str:
        self.demo.stop(signal.SIGKILL)
        await self.until("nothing available", self.nothing_available)
        self.demo.start()
        return await self.as_before()

    async def nothing_available(self) -> bool:
        registered, states = await self.registered(), await self.hass.states()
        ours = [entity["entity_id"] for entity in registered.values() if not entity["disabled_by"]]
        there = [name for name in ours if states[name]["state"] != "unavailable" and "bridge" not in name]
        return Missing(there) if there else True

    async def other_form(self) -> str:
        """Only newer versions know both. The bridge sees by itself that its configuration changed."""
        first, announced = self.first_ids, self.announced
        await self.only_second()
        for form in ("entity", "device"):
            self.configure(form)

            async def changed():
                there = await asyncio.to_thread(read, self.port)
                ours = [there.get(name) for name in self.announced]
                return all(one and one.form == form for one in ours)

            await self.until(f"announcements in the form {form}", changed)
            told = await self.as_before()
        self.first_ids, self.announced = first, announced
        return told

    async def only_second(self) -> None:
        """From here on only the entities of the second bridge count."""
        everything = await asyncio.to_thread(read, self.port)
        self.announced = {name: one for name, one in everything.items() if name not in self.announced}
        self.first_ids = await self.ids()

    async def broker_restart(self) -> str:
        """The demo ends with its broker; a service does not."""
        self.demo.stop()
        await self.only_second()
        self.broker.stop(signal.SIGKILL)
        self.broker.start()
        return await self.as_before()

    async def hass_restart(self) -> str:
        await self.hass.restart()
        return await self.as_before()

    async def as_before(self) -> str:
        """The same entities, none twice, all with values."""
        started = time.monotonic()
        told = await self.until("everything again", self.all_valued)
        ids = await self.ids()
        if ids != self.first_ids:
            raise SystemExit(f"FAILED: other entities than before: {ids ^ self.first_ids}")
        return f"{told} after {time.monotonic() - started:.1f} s"

    async def silence(self) -> str:
        self.stack.start()
        self.configure(self.arguments.form)

        async def has_key():
            return (self.folder / "look-alike.key").exists()

        await self.until("the look-alike's key", has_key)
        self.second.start()

        async def both():
            states = await self.hass.states()
            return self.of_second(states, "kitchen_temperature") == "known" == self.of_second(states, "lamp_led")

        await self.until("the second bridge's devices", both)
        self.stack.send(signal.SIGUSR1)
        fell = time.monotonic()

        async def one_away():
            states = await self.hass.states()
            seen = (self.of_second(states, "kitchen_temperature"), self.of_second(states, "lamp_led"))
            return True if seen == ("unavailable", "known") else Missing(seen)

        await self.until("a silent device unavailable", one_away)
        fell = time.monotonic() - fell
        self.stack.send(signal.SIGUSR1)
        await self.until("it is back", both)
        return f"unavailable {fell:.0f} s after its last word"

    def configure(self, form: str) -> None:
        (self.folder / "second.toml").write_text(SECOND.format(form=form, **self.ports))

    @staticmethod
    def of_second(states: dict, part: str) -> str:
        found = [state["state"] for name, state in states.items() if part in name]
        return found[0] if found and found[0] == "unavailable" else "known" if found else "missing"

    async def log(self) -> str:
        complaints = self.hass.complaints((*KNOWN, MIGRATED))
        if complaints:
            raise SystemExit("FAILED: Home Assistant's log:\n" + "\n".join(complaints))
        return f"see {self.hass.process.log}"


class Missing(list):
    """What is not there yet."""

    def __init__(self, what):
        super().__init__([what] if isinstance(what, str) else what)


SECOND = """[[application]]
id = "my-app"
tenant = "ttn"
mqtt_url = "mqtt://127.0.0.1:{mqtt}"
api_url = "http://127.0.0.1:{http}"
api_key_file = "look-alike.key"

[home]
url = "mqtt://127.0.0.1:{port}"
base_topic = "second"
client_id = "second"

[home_assistant]
discovery = "{form}"

[availability]
factor = 2
floor = "6s"

[store]
path = "second"

[[device]]
id = "living-room"
friendly_name = "kitchen"
# It takes half an hour to learn an interval.
interval = "4s"
"""


async def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("ferry", "look-alike", "hass", "folder"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--form", choices=("entity", "device"), required=True)
    check = Check(parser.parse_args())
    with ended(check.processes()):
        try:
            await check.run()
        finally:
            await check.hass.close()
    print("all good")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
