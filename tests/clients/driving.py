"""Programs that drive the clients, one for each language: building them, starting them, talking to them."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLIENTS, DRIVERS = ROOT / "clients", Path(__file__).parent / "drivers"
PACKAGES = ROOT / "tests" / "web" / "openfeature" / "node_modules"
FILES = ["driver.ts", "flags.ts", "node.ts", "openfeature.ts"]
SECONDS = 600


def python(folder: Path) -> list[str]:
    """The command of the Python driver."""
    return ["env", f"PYTHONPATH={CLIENTS / 'python'}", sys.executable, str(DRIVERS / "driver.py")]


def typescript(folder: Path) -> list[str]:
    """The command of the TypeScript driver, compiled with the client and its OpenFeature provider."""
    compiler, node = tool("tsc", PACKAGES / ".bin"), tool("node")
    for source in [*(CLIENTS / "typescript").glob("*.*"), *DRIVERS.glob("*.ts")]:
        shutil.copy(source, folder)
    (folder / "node_modules").symlink_to(PACKAGES)
    settings = {"extends": "./tsconfig.json", "compilerOptions": {"outDir": "."}, "files": FILES}
    (folder / "tsconfig.driver.json").write_text(json.dumps(settings))
    compiled(compiler, "-p", str(folder / "tsconfig.driver.json"))
    return [node, str(folder / "driver.js")]


def kotlin(folder: Path) -> list[str]:
    """The command of the Kotlin driver, compiled with the client; the JVM's usual settings are for long runs."""
    compiler, java = tool("kotlinc"), tool("java")
    jar = str(folder / "driver.jar")
    compiled(
        compiler,
        str(CLIENTS / "kotlin" / "Abtest.kt"),
        *map(str, DRIVERS.glob("*.kt")),
        "-include-runtime",
        "-Werror",
        "-d",
        jar,
    )
    # It maps a file for its figures, which a full disk does not let it write.
    return [java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-jar", jar]


def compiled(*command: str) -> None:
    """Run a compiler; what it says is the failure of the test."""
    environment = os.environ | {"JAVA_OPTS": "-Xmx512M -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}  # half the time
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=environment, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


BUILDERS: dict[str, Callable[[Path], list[str]]] = {"python": python, "typescript": typescript, "kotlin": kotlin}


def command(language: str, shared: Path) -> list[str]:
    """The command of a language's driver, which is built once into the `shared` folder; skips without its tools."""
    folder = shared / f"{language}-driver"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = folder / "command.json"
        if not built.exists():
            built.write_text(json.dumps(BUILDERS[language](folder)))
        return list(json.loads(built.read_text()))


def tool(name: str, folder: Path | None = None) -> str:
    """The path of a program, in the folder if one is given; skips without it."""
    found = shutil.which(name, path=folder)
    if found is None:
        pytest.skip(f"{name} is missing; `make packages clients` installs it")
    return found


class Driver:
    """A process with clients in it."""

    def __init__(self, command: list[str]) -> None:
        # Python ignores SIGXFSZ; passed on, so that a full disk is an error and not the end.
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            restore_signals=False,
        )

    def send(self, client: str, do: str, **arguments: object) -> None:
        """Send a command."""
        assert self.process.stdin is not None
        texts = {name: str(value) for name, value in arguments.items()}
        self.process.stdin.write(json.dumps({"client": client, "do": do, **texts}) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, str]:
        """The next answer; EOFError when the process is gone."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.endswith("\n"):
            raise EOFError
        found: dict[str, str] = json.loads(line)
        return found

    def kill(self) -> None:
        """End it as an operating system does, without a word."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(SECONDS)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with suppress(BrokenPipeError):  # it had not read everything
                stream.close()


class Phone:
    """One client in a driver, as an app uses it."""

    def __init__(
        self, driver: Driver, url: str, folder: Path, timeout: float = 20.0, send_every: float = 0.05
    ) -> None:
        self.driver, self.folder, self._name = driver, folder, str(folder)
        settings = {"timeout": timeout, "send_every": send_every, "pause": 0.1}
        self.do("start", url=url, folder=folder, **settings)

    def do(self, what: str, **arguments: object) -> dict[str, str]:
        """A command and its answer."""
        self.driver.send(self._name, what, **arguments)
        return self.driver.answer()

    def value(self, key: str = "color", default: str = "default") -> str:
        return self.do("value", key=key, default=default)["value"]

    def shown(self, value: str, key: str = "color") -> None:
        self.do("shown", key=key, value=value)

    def track(self, name: str = "purchase", times: int = 1, **more: object) -> None:
        self.do("track", name=name, times=times, **more)

    def flush(self, seconds: float = SECONDS) -> bool:
        return self.do("flush", seconds=seconds)["done"] == "true"

    @property
    def state(self) -> dict[str, str]:
        """Its token, and how many events are queued, dropped and rejected."""
        return self.do("state")
