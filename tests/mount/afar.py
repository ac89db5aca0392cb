"""A mount of a provider whose originals are not local: what it was asked, and what goes wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness.mount import Mount, Program, mounted, write_config

PLUGINS = Path(__file__).parent / "plugins"
PROGRAM = Program(environment={"PYTHONPATH": str(PLUGINS)})


@dataclass(frozen=True)
class Network:
    """The way to the provider."""

    control: Path

    def asked(self, name: str) -> list[tuple[int, int]]:
        """(offset, length) of every read of that original so far."""
        log = self.control / "asked"
        lines = [line.rsplit(" ", 2) for line in log.read_text().splitlines()] if log.exists() else []
        return [(int(offset), int(length)) for asked, offset, length in lines if asked == name]

    def slow(self, latency_s: float) -> None:
        """Every read takes that long from now on."""
        (self.control / "latency_s").write_text(str(latency_s))

    def lie(self, name: str) -> None:
        """The first byte of that original is wrong, once."""
        (self.control / "wrong").write_text(name)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Inside, nothing can be asked."""
        (self.control / "unreachable").touch()
        try:
            yield
        finally:
            (self.control / "unreachable").unlink()


@contextmanager
def mounted_afar(folder: Path, photos: Path, *, cache_size: str = "1 GiB") -> Iterator[tuple[Mount, Network]]:
    """As `mounted`. `cache_size`: as in the configuration."""
    control = photos.with_name("afar")
    control.mkdir(exist_ok=True)
    config = write_config(folder, photos, provider="afar")
    config.write_text(config.read_text().replace('"1 GiB"', f'"{cache_size}"'))
    with mounted(folder, photos, config=config, program=PROGRAM) as mount:
        yield mount, Network(control)
