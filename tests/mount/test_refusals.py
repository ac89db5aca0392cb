"""What keeps the daemon from starting: an exit code, and exactly one line that says what to do (DESIGN §7)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from iiiffs.state.folder import lock_folder, prepare_folder
from tests.harness.mount import Mount, is_mounted, mounted, write_config
from tests.mount.commands import Refusal, run_iiiffs
from tests.mount.observing import names

CONFIG, MOUNT, RUNNING = 2, 3, 4


@dataclass(frozen=True)
class Place:
    """What a case starts from: all is well until the case spoils it."""

    folder: Path
    photos: Path
    config: Path
    root: Path

    def rewrite(self, old: str, new: str) -> None:
        """The configuration with `new` for `old`."""
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))


@pytest.fixture
def place(tmp_path: Path, sample_photos: Path) -> Place:
    (tmp_path / "mnt").mkdir()
    return Place(tmp_path, sample_photos, write_config(tmp_path, sample_photos), tmp_path / "mnt")


def refuse_in_one_line(refusal: Refusal, code: int, *words: str) -> None:
    """That code, one line of ours, and these words in it."""
    assert (refusal.code, len(refusal.lines)) == (code, 1), refusal
    assert refusal.lines[0].startswith("iiiffs: ")
    for word in words:
        assert word in refusal.lines[0], refusal.lines


def _missing(place: Place) -> None:
    place.root.rmdir()


def _not_empty(place: Place) -> None:
    (place.root / "precious.txt").touch()


def _a_file(place: Place) -> None:
    place.root.rmdir()
    place.root.touch()


def _cache_inside(place: Place) -> None:
    place.rewrite(str(place.folder / "cache"), str(place.root / "cache"))


def _state_inside(place: Place) -> None:
    place.rewrite(str(place.folder / "state"), str(place.root / "state"))


def _photos_inside(place: Place) -> None:
    place.rewrite(str(place.photos), str(place.root))


def _around_the_photos(place: Place) -> None:
    place.rewrite(str(place.photos), str(place.folder))


def _cache_inside_by_a_link(place: Place) -> None:
    (place.folder / "link").symlink_to(place.root)
    place.rewrite(str(place.folder / "cache"), str(place.folder / "link" / "cache"))


def _syntax(place: Place) -> None:
    place.config.write_text("this is no TOML")


def _unknown_key(place: Place) -> None:
    place.rewrite("[cache]", "[cache]\nsizes = 3")


def _wrong_type(place: Place) -> None:
    place.rewrite('size = "1 GiB"', "size = true")


def _unknown_provider(place: Place) -> None:
    place.rewrite('"folder"', '"flickr"')


def _no_photos(place: Place) -> None:
    place.rewrite(str(place.photos), str(place.folder / "nothing"))


def _no_config(place: Place) -> None:
    place.config.unlink()


def _state_is_a_file(place: Place) -> None:
    (place.folder / "state").touch()


CASES: dict[str, tuple[Callable[[Place], None], int, str]] = {
    "mount point missing": (_missing, MOUNT, "mkdir"),
    "mount point not empty": (_not_empty, MOUNT, "precious.txt"),
    "mount point a file": (_a_file, MOUNT, "not a directory"),
    "cache inside": (_cache_inside, CONFIG, "cache.path"),
    "cache inside by a link": (_cache_inside_by_a_link, CONFIG, "cache.path"),
    "state inside": (_state_inside, CONFIG, "state.path"),
    "photos inside": (_photos_inside, CONFIG, "account.pictures.path"),
    "mount point inside the photos": (_around_the_photos, CONFIG, "account.pictures.path"),
    "configuration is no TOML": (_syntax, CONFIG, "config.toml"),
    "unknown key": (_unknown_key, CONFIG, "cache.sizes"),
    "wrong type": (_wrong_type, CONFIG, "cache.size"),
    "unknown provider": (_unknown_provider, CONFIG, "account.pictures.provider"),
    "no such folder": (_no_photos, CONFIG, "account.pictures.path"),
    "no configuration": (_no_config, CONFIG, "config.toml"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_at_start(place: Place, case: str) -> None:
    spoil, code, word = CASES[case]
    spoil(place)
    refuse_in_one_line(run_iiiffs("mount", place.root, "--config", place.config), code, word)
    assert not is_mounted(place.root)


def test_a_state_that_is_a_file(place: Place) -> None:
    _state_is_a_file(place)
    refusal = run_iiiffs("mount", place.root, "--config", place.config)
    assert (refusal.code in (1, CONFIG), len(refusal.lines)) == (True, 1), refusal


def test_an_account_that_is_not_there(place: Place) -> None:
    refuse_in_one_line(
        run_iiiffs("mount", place.root, "--config", place.config, "--account", "holidays"), CONFIG, "holidays"
    )


@pytest.mark.parametrize("option", [["--umask", "999"], ["-o", "nonsense"], ["--uid", "-3"]], ids=" ".join)
def test_bad_options(place: Place, option: list[str]) -> None:
    refusal = run_iiiffs("mount", place.root, "--config", place.config, *option)
    assert (refusal.code, len(refusal.lines)) == (CONFIG, 1), refusal


def test_no_fuse_device(place: Place) -> None:
    """In a mount namespace of its own, /dev/fuse is an empty file system's."""
    hide = 'mkdir "$0" && mount -t tmpfs none "$0" && mknod "$0/null" c 1 3 && mount --bind "$0" /dev && exec "$@"'
    prefix = ["unshare", "--mount", "bash", "-c", hide, str(place.folder / "dev")]
    refuse_in_one_line(run_iiiffs("mount", place.root, "--config", place.config, prefix=prefix), MOUNT, "/dev/fuse")


def test_state_locked_by_another_process(place: Place) -> None:
    folder = place.folder / "state"
    prepare_folder(folder)
    lock = lock_folder(folder)
    try:
        refuse_in_one_line(run_iiiffs("mount", place.root, "--config", place.config), RUNNING, str(folder))
    finally:
        os.close(lock)
    assert not is_mounted(place.root)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, sample_photos: Path) -> Iterator[Mount]:
    with mounted(tmp_path_factory.mktemp("running"), sample_photos) as mount:
        yield mount
        assert names(mount.root)


def test_a_second_daemon_on_the_same_mount_point(running: Mount, place: Place) -> None:
    refuse_in_one_line(run_iiiffs("mount", running.root, "--config", place.config), RUNNING, str(running.root))


def test_a_second_daemon_on_the_same_state_and_cache(running: Mount, place: Place) -> None:
    refuse_in_one_line(run_iiiffs("mount", place.root, "--config", running.config), RUNNING, str(running.folder))


def test_a_second_daemon_on_the_same_cache(running: Mount, place: Place) -> None:
    place.rewrite(str(place.folder / "cache"), str(running.folder / "cache"))
    refuse_in_one_line(
        run_iiiffs("mount", place.root, "--config", place.config), RUNNING, str(running.folder / "cache")
    )


def test_a_mount_point_inside_a_mount_of_ours(running: Mount, place: Place) -> None:
    refusal = run_iiiffs("mount", running.files / "empty", "--config", place.config)
    assert (refusal.code in (CONFIG, MOUNT), len(refusal.lines)) in ((True, 1), (False, 0)), refusal


def test_something_else_is_mounted_there(place: Place) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", place.root], check=True)
    try:
        refuse_in_one_line(run_iiiffs("mount", place.root, "--config", place.config), MOUNT, "tmpfs")
    finally:
        subprocess.run(["umount", place.root], check=True)
