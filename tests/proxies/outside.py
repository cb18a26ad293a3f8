"""Programs that run beside the check, and a WebSocket as a browser would open it."""

import base64
import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

#: Seconds that anything may take.
PATIENCE = 60


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Programs:
    """Everything that was started here, each with its log in the folder; all are ended, by their ids, at the end."""

    def __init__(self, folder: Path):
        self.folder, self.running = folder, []
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def __enter__(self) -> "Programs":
        return self

    def __exit__(self, error, *_) -> None:
        for program in reversed(self.running):
            program.terminate()
            try:
                program.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
        if error is None:
            shutil.rmtree(self.folder)
        else:
            print(f"failed: see the logs in {self.folder}")

    def start(self, name: str, command: Sequence[object]) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TTN_FERRY_")}
        own = {"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder)}
        with (self.folder / f"{name}.log").open("wb") as log:
            words = [str(word) for word in command]
            program = subprocess.Popen(words, cwd=self.folder, env=kept | own, stdout=log, stderr=log)
        self.running.append(program)

    def until(self, what: str, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not is_so():
            ended = [program.args[0] for program in self.running if program.poll() is not None]
            assert not ended, f"{ended} ended"
            assert time.monotonic() < end, f"there is no {what}"
            time.sleep(0.1)

    def until_open(self, name: str, port: int) -> None:
        def is_open() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False

        self.until(f"{name} at port {port}", is_open)


class WebSocket:
    """RFC 6455, as far as a server's text is read."""

    def __init__(self, stream: socket.socket, path: str, headers: dict[str, str]):
        key = base64.b64encode(os.urandom(16)).decode()
        asked = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers | asked).items())
        stream.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        self.stream = stream.makefile("rb")
        self.head = b"".join(iter(self.stream.readline, b"\r\n")).decode()
        self.status = int(self.head.split()[1])

    def text(self) -> str:
        """The next message of text; what else comes is passed over."""
        while True:
            kind, length = self.stream.read(2)
            if length >= 126:
                length = int.from_bytes(self.stream.read(2 if length == 126 else 8), "big")
            content = self.stream.read(length)
            if kind & 0x0F == 1:
                return content.decode()
