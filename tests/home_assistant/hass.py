"""A Home Assistant that is started, set up and asked through its own API."""

import asyncio
import time
from pathlib import Path

import aiohttp

from processes import Process

CONFIGURATION = """homeassistant:
  name: Check
  latitude: 52.1
  longitude: 4.9
  elevation: 0
  unit_system: metric
  time_zone: UTC
http:
  server_host: 127.0.0.1
  server_port: {port}
frontend:
api:
config:
logger:
  default: warning
"""
CLIENT = "http://127.0.0.1/"
#: Home Assistant installs what its integrations need at its first start.
FIRST_START = 600


class Hass:
    def __init__(self, program: Path, folder: Path, port: int):
        self.url = f"http://127.0.0.1:{port}"
        conf = folder / "hass"
        conf.mkdir()
        (conf / "configuration.yaml").write_text(CONFIGURATION.format(port=port))
        self.process = Process("hass", [str(program), "-c", str(conf)], folder)
        self.session: aiohttp.ClientSession | None = None
        self.token = ""
        self.refresh = ""

    async def start(self) -> None:
        """Starts it and waits until it has set everything up."""
        self.process.start()
        self.session = self.session or aiohttp.ClientSession()
        deadline = time.monotonic() + FIRST_START
        while not await self._answers():
            self.process.check()
            if time.monotonic() > deadline:
                raise SystemExit("Home Assistant does not answer")
            await asyncio.sleep(0.5)

    async def _answers(self) -> bool:
        try:
            if not self.token:
                async with self.session.get(f"{self.url}/api/onboarding") as answer:
                    return answer.status == 200
            return (await self.get("config"))["state"] == "RUNNING"
        except (aiohttp.ClientError, OSError, KeyError):
            return False

    async def set_up(self, mqtt_port: int) -> None:
        """Onboards one user and adds the MQTT integration, as a person would in the browser.

        The rest of the onboarding is left out: it would add integrations that talk to the internet."""
        user = {"client_id": CLIENT, "name": "Check", "username": "check", "password": "check", "language": "en"}
        code = (await self._post("/api/onboarding/users", json=user))["auth_code"]
        grant = {"client_id": CLIENT, "grant_type": "authorization_code", "code": code}
        self.token = (await self._post("/auth/token", data=grant))["access_token"]
        flow = await self._post("/api/config/config_entries/flow", json={"handler": "mqtt"})
        broker = {"broker": "127.0.0.1", "port": mqtt_port}
        done = await self._post(f"/api/config/config_entries/flow/{flow['flow_id']}", json=broker)
        if done.get("type") != "create_entry":
            raise SystemExit(f"the MQTT integration could not be added: {done}")

    async def restart(self) -> None:
        self.process.stop()
        await self.start()

    async def get(self, path: str):
        async with self.session.get(f"{self.url}/api/{path}", headers=self._headers()) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def call(self, domain: str, service: str, **data) -> None:
        await self._post(f"/api/services/{domain}/{service}", json=data)

    async def states(self) -> dict[str, dict]:
        return {state["entity_id"]: state for state in await self.get("states")}

    async def ask(self, *kinds: str) -> list:
        """Answers of the WebSocket API, such as `config/entity_registry/list`."""
        answers = []
        async with self.session.ws_connect(f"{self.url}/api/websocket", max_msg_size=0) as socket:
            await socket.receive_json()
            await socket.send_json({"type": "auth", "access_token": self.token})
            await socket.receive_json()
            for number, kind in enumerate(kinds, 1):
                await socket.send_json({"id": number, "type": kind})
                answers.append((await socket.receive_json())["result"])
        return answers

    async def close(self) -> None:
        if self.session:
            await self.session.close()

    def complaints(self, known: tuple[str, ...]) -> list[str]:
        """Warnings and errors in its log, but for those that are about itself."""
        lines = self.process.log.read_text(errors="replace").splitlines()
        loud = [line for line in lines if " WARNING " in line or " ERROR " in line]
        return [line for line in loud if not any(text in line for text in known)]

    async def _post(self, path: str, **body):
        async with self.session.post(self.url + path, headers=self._headers(), **body) as answer:
            if answer.status >= 400:
                raise SystemExit(f"{path}: {answer.status} {await answer.text()}")
            return await answer.json()

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}
