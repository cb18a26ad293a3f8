"""Looks at bridges through nginx and Caddy, set up as docs/guide/page.md says. Started by scripts/proxy-check."""

import http.client
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from outside import Programs, WebSocket, free_port

GUIDE = Path(__file__).parents[2] / "docs/guide/page.md"
#: What the lines in the guide call the bridge.
BRIDGE = "127.0.0.1:8899"
PASSWORD = "correct horse battery staple"
#: Seconds that anything may take.
PATIENCE = 60
#: Seconds that the longest answer takes.
LONGEST_ANSWER = 600


class Form:
    """A way to put the bridge behind a proxy."""

    def __init__(self, name: str, host: str, base: str):
        self.name, self.host, self.base = name, host, base
        self.port = free_port()


def forms() -> list[Form]:
    path = "home.example.org"
    return [Form("path", path, "/ferry/"), Form("path off", path, "/ferry/"), Form("host", "ferry.example.org", "/")]


def shown(language: str) -> list[str]:
    """The blocks of this language in the guide."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.M | re.S)
    assert blocks, f"{GUIDE} shows no lines for {language}"
    return blocks


def replaced(text: str, old: str, new: str) -> str:
    assert old in text, f"the guide's lines do not hold {old!r} any more:\n{text}"
    return text.replace(old, new)


def nginx_lines(folder: Path, forms: list[Form], bridges: dict[str, int]) -> str:
    upgrade, location = shown("nginx")
    servers = []
    for form in forms:
        lines = location
        if form.name == "path off":
            lines = replaced(lines, f"proxy_pass http://{BRIDGE};", f"proxy_pass http://{BRIDGE}/;")
        if form.name == "host":
            lines = replaced(lines, "location /ferry/ {", "location / {")
        lines = replaced(lines, BRIDGE, f"127.0.0.1:{bridges[form.base]}")
        servers.append(f"server {{\nlisten 127.0.0.1:{form.port};\nserver_name {form.host};\n{lines}}}\n")
    kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    own = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    events = f"pid {folder}/nginx.pid;\ndaemon off;\nmaster_process off;\nevents {{}}\n"
    return f"{events}http {{\naccess_log off;\n{own}{upgrade}{''.join(servers)}}}\n"


def caddy_lines(forms: list[Form], bridges: dict[str, int]) -> str:
    path, host = re.findall(r"^\S.*? \{\n.*?^\}\n", shown("caddy")[0], re.M | re.S)
    off = replaced(path, f"reverse_proxy /ferry/* {BRIDGE}", f"handle_path /ferry/* {{\nreverse_proxy {BRIDGE}\n}}")
    sites = []
    for form, lines in zip(forms, [path, off, host]):
        # Without a certificate: the names are nobody's.
        lines = replaced(lines, f"{form.host} {{", f"http://{form.host}:{form.port} {{\nbind 127.0.0.1")
        sites.append(replaced(lines, BRIDGE, f"127.0.0.1:{bridges[form.base]}"))
    return "{\nadmin off\nauto_https off\n}\n" + "".join(sites)


class Visitor:
    """Somebody with an address, who visits a bridge through a proxy."""

    def __init__(self, form: Form, address: str):
        self.form, self.address = form, address

    def ask(self, method: str, path: str, body: dict | None = None, **headers: str):
        """The answer, its text with it."""
        asked = http.client.HTTPConnection("127.0.0.1", self.form.port, PATIENCE, source_address=(self.address, 0))
        text = None if body is None else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        asked.request(method, path, text, {"Host": self.form.host, "Content-Type": "application/json"} | named)
        answer = asked.getresponse()
        answer.text = answer.read().decode()
        asked.close()
        return answer

    def log_in(self, password: str, **headers: str):
        origin = f"https://{self.form.host}"
        return self.ask("POST", f"{self.form.base}api/v1/session", {"password": password}, Origin=origin, **headers)

    def listen(self, cookie: str, origin: str) -> WebSocket:
        headers = {"Host": self.form.host, "Origin": origin, "Cookie": cookie}
        stream = socket.create_connection(("127.0.0.1", self.form.port), PATIENCE, (self.address, 0))
        return WebSocket(stream, f"{self.form.base}api/v1/live?kinds=uplink", headers)


def passes(form: Form, addresses: list[str]) -> None:
    """Everything that must pass, and what must not."""
    visitor, base = Visitor(form, addresses[0]), form.base
    page = visitor.ask("GET", base)
    assert page.status == 200 and f'<base href="{base}">' in page.text, page.text
    assert visitor.ask("GET", f"{base}app.js").status == 200
    if base != "/":
        slash = visitor.ask("GET", base.rstrip("/"))
        assert slash.status // 100 == 3 and slash.headers["Location"].endswith(base), slash.headers
    assert visitor.ask("GET", f"{base}api/v1/devices").status == 401
    cookie = logs_in(visitor)
    live = visitor.listen(cookie, f"https://{form.host}")
    assert live.status == 101, live.head
    assert json.loads(live.text())["type"] == "hello"
    heard = json.loads(live.text())
    assert heard["kind"] == "uplink", heard
    devices = visitor.ask("GET", f"{base}api/v1/devices", Cookie=cookie)
    assert devices.status == 200 and heard["device"] in devices.text, devices.text
    for origin in ["https://evil.example", "http://evil.example"]:
        assert visitor.listen(cookie, origin).status == 403
        assert visitor.ask("POST", f"{base}api/v1/config/reload", {}, Origin=origin, Cookie=cookie).status == 403
    is_counted_alone(form, addresses[1], addresses[2])
    assert json.loads(live.text())["kind"] == "uplink", "it is still there"
    out = visitor.ask("DELETE", f"{base}api/v1/session", Origin=f"https://{form.host}", Cookie=cookie)
    assert out.status == 200 and visitor.ask("GET", f"{base}api/v1/devices", Cookie=cookie).status == 401


def logs_in(visitor: Visitor) -> str:
    answer = visitor.log_in(PASSWORD)
    cookie = answer.headers["Set-Cookie"]
    assert answer.status == 200 and f"Path={visitor.form.base};" in cookie and "; Secure" in cookie, cookie
    return cookie.split(";")[0]


def is_counted_alone(form: Form, guessing: str, other: str) -> None:
    """Five wrong tries are one visitor's, whatever that one writes."""
    for number in range(5):
        assert Visitor(form, guessing).log_in("wrong", X_Forwarded_For=f"203.0.113.{number}").status == 401
    assert Visitor(form, guessing).log_in(PASSWORD, X_Forwarded_For="203.0.113.99").status == 429
    assert Visitor(form, guessing).log_in(PASSWORD, X_Forwarded_For="127.0.0.1").status == 429
    assert Visitor(form, other).log_in(PASSWORD).status == 200


def waits_long_enough(nginx: str) -> None:
    """No answer of the bridge is cut, nor a WebSocket, which is pinged every 30 s."""
    locations = re.findall(r"location [^{]*\{[^}]*proxy_pass[^}]*\}", nginx)
    assert len(locations) == len(forms()), nginx
    for location in locations:
        minutes = re.search(r"proxy_read_timeout (\d+)m;", location)
        assert minutes and int(minutes[1]) * 60 > LONGEST_ANSWER, location


def bridges(programs: Programs, binaries: Path) -> dict[str, int]:
    """Two of them, by their base paths, at a network and a home broker."""
    mqtt, api, home = free_port(), free_port(), free_port()
    (programs.folder / "mosquitto.conf").write_text(f"listener {home} 127.0.0.1\nallow_anonymous true\n")
    programs.start("mosquitto", ["mosquitto", "-c", "mosquitto.conf"])
    programs.start("look-alike", [binaries / "examples/look_alike", mqtt, api])
    programs.until("the look-alike's key", (programs.folder / "look-alike.key").exists)
    ports = {}
    for form in [forms()[0], forms()[2]]:
        name, ports[form.base] = form.name, free_port()
        (programs.folder / f"{name}.toml").write_text(f"""
[[application]]
id = "my-app"
tenant = "ttn"
mqtt_url = "mqtt://127.0.0.1:{mqtt}"
api_url = "http://127.0.0.1:{api}"
api_key_file = "look-alike.key"
[home]
url = "mqtt://127.0.0.1:{home}"
base_topic = "{name}"
[store]
path = "{name}"
[service]
socket = ""
[web]
listen = "127.0.0.1:{ports[form.base]}"
base_path = "{form.base}"
url = "https://{form.host}{form.base}"
password = "{PASSWORD}"
proxies = ["127.0.0.1", "::1"]
""")
        programs.start(name, [binaries / "ttn-ferry", "run", "--config", f"{name}.toml"])
        programs.until_open(name, ports[form.base])
    return ports


def behind_nginx(programs: Programs, ports: dict[str, int]) -> list[Form]:
    behind, folder = forms(), programs.folder
    (folder / "nginx.conf").write_text(nginx_lines(folder, behind, ports))
    command = ["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "nginx-error.log"]
    waits_long_enough(subprocess.run([*command, "-q", "-T"], check=True, stdout=subprocess.PIPE, text=True).stdout)
    programs.start("nginx", command)
    return behind


def behind_caddy(programs: Programs, ports: dict[str, int]) -> list[Form]:
    behind = forms()
    (programs.folder / "Caddyfile").write_text(caddy_lines(behind, ports))
    command = ["caddy", "adapt", "--config", programs.folder / "Caddyfile", "--adapter", "caddyfile"]
    adapted = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "reverse_proxy" in adapted and "timeout" not in adapted, "it has none unless it is told"
    programs.start("caddy", ["caddy", "run", *command[2:]])
    return behind


def check(binaries: Path, folder: Path) -> None:
    with Programs(folder) as programs:
        ports = bridges(programs, binaries)
        # Each form is met by visitors who were not there before.
        addresses = (f"127.0.1.{number}" for number in range(1, 255))
        for name, put_behind in [("nginx", behind_nginx), ("caddy", behind_caddy)]:
            if not shutil.which(name):
                print(f"skipped: {name} is not installed")
                continue
            for form in put_behind(programs, ports):
                programs.until_open(name, form.port)
                start = time.monotonic()
                passes(form, [next(addresses) for _ in range(3)])
                print(f"ok {time.monotonic() - start:6.1f} s  {name}: {form.name}", flush=True)
    print("all good")


if __name__ == "__main__":
    check(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
