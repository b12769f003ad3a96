"""Two live services, an engine that dies, and a Prometheus that scrapes them."""

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

import queries
import system
from acceptance.wire import Service, until
from monitoring.engine import Mortals, mortal_engine
from monitoring.traffic import Traffic
from processes import Server, launch, wait_ready

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "prometheus"
#: Ranges of the shipped rules and queries -> ranges that a test can wait for.
SHORTER = {"5m": "4s", "10m": "5s", "15m": "5s", "30m": "30s", "1h": "6s", "6h": "10s", "1d": "16s"}
#: What Grafana would put in place of the variables of a board.
CHOSEN = dict.fromkeys(("instance", "policy", "task", "arm"), ".+") | {
    "__rate_interval": "4s",
    "window": "8s",
}
SECRETS = {"alice": "s3cret", "bob": "hunter2"}
LIMIT = 6
START_S = 90

PLUGIN = """
class Reader:
    kind, free, needs_all = "reader", False, False

    def __init__(self, **options): ...
    async def load(self): ...
    async def close(self): ...
    async def prefill(self, request): ...

    def truncated(self, request):
        return any(len(document.text) > 1000 for document in request.documents)

    async def score(self, request, candidates):
        return [float(len(candidate.text)) for candidate in candidates]
"""


def shorter(text: str) -> str:
    """An expression with shorter ranges and offsets."""
    text = re.sub(r"\[(\w+)\]", lambda match: f"[{SHORTER.get(match[1], match[1])}]", text)
    return re.sub(r"offset (\w+)", lambda match: f"offset {SHORTER.get(match[1], match[1])}", text)


def expression(text: str) -> str:
    """A query of a board as Grafana sends it, with shorter ranges."""
    return queries.substitute(shorter(text), CHOSEN)


def fake(name: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "kind": "fake"} | settings


#: FOLDER is the service's own.
ARMS = [
    {"name": "loglik", "kind": "loglik"},
    {"name": "consensus", "kind": "consensus"},
    fake(
        "flaky",
        options={"salt": "f", "fault": "raise", "fault_file": "FOLDER/raise"},
        circuit_failures=8,
        circuit_open_s=1.5,
    ),
    fake("patchy", options={"salt": "p", "fault": "some-nan", "fault_file": "FOLDER/some-nan"}),
    fake("broken", options={"salt": "b", "fault": "raise", "fault_file": "FOLDER/broken"}),
]
#: Arms that are added at run time.
ADDED = [
    {"name": "reader", "kind": "python", "options": {"name": "reader"}, "overlap": "on"},
    fake("slow", options={"delay_s": 0.4}),
]

#: Changes for a service whose policy is only observed.
OBSERVED: dict[str, Any] = {
    "SERVER__API_KEYS": {},
    "STORAGE__KIND": "memory",
    "POLICY__MODE": "observe",
    "POLICY__OBSERVE_ARM": "consensus",
    "POLICY__NAME": "random",
}


def variables(folder: Path, **changes: Any) -> dict[str, str]:
    """Environment of a service on the fake profile with a database in a folder."""
    chosen: dict[str, Any] = {
        "DATA_DIR": str(folder),
        "STORAGE__KIND": "sqlite",
        "STORAGE__SNAPSHOT_EVERY": 50,
        "POLICY__LEARN_FROM": "reward",
        "POLICY__EPSILON_START": 0.4,
        "SERVER__API_KEYS": SECRETS,
        "SERVER__MAX_CONCURRENT_REQUESTS": LIMIT,
        "FEEDBACK__WAIT_S": 2,
        "FEEDBACK__DEFAULT_REWARD": 0.2,
        "SCORING__SHADOW_SHARE": 0.5,
        "SCORING__ALLOW_KINDS": ["fake", "python"],
        "GENERATION__MAX_MODEL_LEN": 60_000,
        "ARMS": ARMS,
    }
    texts = {
        f"LASERVE_{name}": value if isinstance(value, str) else json.dumps(value)
        for name, value in (chosen | changes).items()
    }
    return {name: text.replace("FOLDER", str(folder)) for name, text in texts.items()}


def install_plugin(site: Path) -> None:
    """A distribution with the reward model `reader`, which reads ahead, as pip leaves one behind."""
    info = site / "laserve_reader_of_the_tests-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "laserve_reader_of_the_tests.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: laserve-reader-of-the-tests\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[laserve.reward_models]\nreader = laserve_reader_of_the_tests:Reader\n"
    )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def prometheus(folder: Path, targets: list[str]) -> Iterator[queries.Prometheus]:
    """Debian's Prometheus with the shipped configuration and rules, every range of them shorter.

    Alerts fire at once: their `for` is 0, since promtool's cases show that it is obeyed.
    """
    folder.mkdir()
    configuration = yaml.safe_load((CONFIGURATION / "prometheus.yml").read_text("utf-8"))
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration["scrape_configs"][0]["static_configs"] = [{"targets": targets}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    for name in configuration["rule_files"]:
        rules = shorter((CONFIGURATION / name).read_text("utf-8"))
        rules = rules.replace(", 86400)", ", 1)")
        (folder / name).write_text(re.sub(r"\bfor: \w+", "for: 0s", rules))
    address = f"127.0.0.1:{free_port()}"
    command = [
        system.find("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    client = queries.Prometheus(f"http://{address}")
    try:
        until(lambda: is_ready(process, f"http://{address}/-/ready", folder / "log"), timeout_s=START_S)
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(30)


def is_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> bool:
    assert process.poll() is None, log.read_text(errors="replace")
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False  # not listening yet


@dataclass
class Scene:
    """What is running.

    Args:
        began: time of the first scrape, in seconds since 1970.
    """

    folder: Path
    service: Service
    traffic: Traffic
    watched: Traffic
    engine: Mortals
    prometheus: queries.Prometheus
    began: float
    #: Starts the stopped main service again, with other settings.
    restart: Callable[..., Service]

    def sees(self, expr: str) -> list[queries.Series]:
        """What Prometheus has now."""
        return self.prometheus.instant(shorter(expr), time=time.time())

    def wait(self, expr: str, doing: Callable[[], Any] = lambda: None) -> None:
        """Go on doing something until an expression has a value."""

        def seen() -> bool:
            doing()
            return bool(self.sees(expr))

        until(seen, timeout_s=90)

    def over(self, expr: str, step: float = 1.0) -> list[queries.Series]:
        """The values of a query from the first scrape to now."""
        return self.prometheus.range(expr, start=self.began, end=time.time(), step=step)


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """All of it, ready, with Prometheus scraping."""
    ports = [free_port() for _ in range(3)]
    targets = [f"127.0.0.1:{port}" for port in ports]
    install_plugin(folder / "site")
    for name in ("main", "watched"):
        (folder / name).mkdir()
    (folder / "main" / "broken").touch()
    with ExitStack() as stack:
        main = launched(stack, folder / "main", ports[0])
        watched = launched(stack, folder / "watched", ports[1], **OBSERVED)
        engine = stack.enter_context(mortal_engine(ports[2]))
        wait_ready(watched, START_S)
        service = ready(main, folder / "main")
        monitor = stack.enter_context(prometheus(folder / "prometheus", targets))
        yield Scene(
            folder=folder,
            service=service,
            traffic=Traffic(f"http://{targets[0]}", SECRETS["alice"]),
            watched=Traffic(f"http://{targets[1]}"),
            engine=engine,
            prometheus=monitor,
            began=time.time(),
            restart=lambda **changes: ready(
                launched(stack, folder / "main", ports[0], **changes), folder / "main"
            ),
        )


def launched(stack: ExitStack, folder: Path, port: int, **changes: Any) -> Server:
    """A service that starts at a port; the end of the stack stops it."""
    path = os.pathsep.join(filter(None, [str(folder.parent / "site"), os.environ.get("PYTHONPATH")]))
    log = folder / f"log-{len(list(folder.glob('log-*')))}"
    environment = variables(folder, **changes) | {"PYTHONPATH": path}
    server = launch(log, "--profile", "fake", "--port", str(port), env=environment)
    stack.callback(lambda: server.client.close())  # noqa: PLW0108 - readiness replaces the client
    stack.callback(lambda: server.process.poll() is None and server.stop())
    return server


def ready(server: Server, folder: Path) -> Service:
    """The service of a server, once it serves; its client has a key."""
    wait_ready(server, START_S)
    server.client.headers["Authorization"] = f"Bearer {SECRETS['alice']}"
    return Service(server, folder)
