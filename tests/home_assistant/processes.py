"""Processes that the check starts, and ends by their ids."""

import contextlib
import signal
import socket
import subprocess
from pathlib import Path

MOSQUITTO = """listener {port} 127.0.0.1
allow_anonymous true
persistence false
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Process:
    """One program with its log; started and stopped as often as wanted."""

    def __init__(self, name: str, command: list[str], folder: Path, cwd: Path | None = None):
        self.name, self.command, self.cwd = name, command, cwd
        self.log = folder / f"{name}.log"
        self.running: subprocess.Popen | None = None

    def start(self) -> None:
        with self.log.open("a") as log:
            self.running = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.cwd
            )

    def send(self, number: signal.Signals) -> None:
        if self.running and self.running.poll() is None:
            self.running.send_signal(number)

    def stop(self, how: signal.Signals = signal.SIGTERM, patience: float = 60) -> None:
        self.send(how)
        if self.running:
            try:
                self.running.wait(patience)
            except subprocess.TimeoutExpired:
                self.running.kill()
                self.running.wait()
        self.running = None

    def check(self) -> None:
        """A program that ended by itself takes the check with it."""
        if self.running and self.running.poll() is not None:
            raise SystemExit(f"{self.name} ended with {self.running.returncode}: see {self.log}")


def mosquitto(folder: Path, port: int) -> Process:
    configuration = folder / "mosquitto.conf"
    configuration.write_text(MOSQUITTO.format(port=port))
    return Process("mosquitto", ["mosquitto", "-c", str(configuration)], folder)


@contextlib.contextmanager
def ended(processes: list[Process]):
    """Whatever happens, nothing is left running."""
    try:
        yield
    finally:
        for process in reversed(processes):
            process.stop()
