"""Reading the tree: bytes, sizes and times are the originals', and walkers end, render nothing and see one truth."""

from __future__ import annotations

import filecmp
import json
import subprocess
from pathlib import Path

import pytest

from tests.harness.mount import Mount
from tests.mount.observing import drop_kernel_caches, eventually, names, walk

WALKERS = {
    "ls": "ls -lR {root}",
    "find": "find {root} -printf '%p %s %i\\n'",
    "find -L": "find -L {root} -type f -size +0",
    "du": "du -sb {root} && du -s {root}",
    "grep": "grep -r no-such-words {root}/pictures/files; [ $? = 1 ]",
    "cp -r": "cp -r {root} {out}/copy",
    "cp -a": "cp -a {root} {out}/exact",
    "tar": "tar -C {root} -cf {out}/all.tar . && tar -tf {out}/all.tar",
    "rsync -n": "rsync -an {root}/ {out}/none/",
    "rsync": "rsync -rlt {root}/ {out}/synced/",
    "rsync -c": "rsync -rnc {root}/pictures/files/ {out}/checked/",
}


def test_originals_are_the_files(sample: Mount, sample_photos: Path) -> None:
    files = [path for path in sorted(sample_photos.rglob("*")) if path.is_file()]
    assert len(files) == 7
    for path in files:
        shown = sample.files / path.relative_to(sample_photos)
        assert filecmp.cmp(path, shown, shallow=False), shown
        real, told = path.stat(), shown.stat()
        assert (told.st_size, told.st_mtime_ns) == (real.st_size, real.st_mtime_ns), shown


@pytest.mark.parametrize("command", WALKERS.values(), ids=WALKERS.keys())
def test_walkers_end_and_render_nothing(sample: Mount, tmp_path: Path, command: str) -> None:
    before = sample.rendered
    drop_kernel_caches()
    done = subprocess.run(
        command.format(root=sample.root, out=tmp_path),
        shell=True,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sample.rendered == before


def test_copies_are_equal(sample: Mount, sample_photos: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", sample.files, tmp_path / "copy"], check=True)
    done = subprocess.run(
        ["rsync", "-rnci", f"{sample_photos}/", tmp_path / "copy"], check=False, capture_output=True, text=True
    )
    changed = [line for line in done.stdout.splitlines() if line.startswith(">")]
    assert (done.returncode, changed) == (0, [])


def test_a_second_rsync_has_nothing_to_do(sample: Mount, tmp_path: Path) -> None:
    command = ["rsync", "-rlti", "--exclude=.iiiffs", f"{sample.root}/", str(tmp_path / "synced")]
    assert subprocess.run(command, check=True, capture_output=True).stdout != b""
    drop_kernel_caches()
    assert subprocess.run(command, check=True, capture_output=True).stdout == b""


def test_listing_stat_and_bytes_agree(sample: Mount) -> None:
    (sample.files / "iiif" / "a.jpg" / "full" / "90," / "0" / "default.jpg").stat()
    drop_kernel_caches()
    service = (sample.files / "iiif" / "a.jpg").resolve()
    listed = [entry for root in (sample.root, service) for entry in walk(root)]
    told = {entry.path: entry.stat(follow_symlinks=False) for entry in listed}
    drop_kernel_caches()
    for path, listing in told.items():
        now = Path(path).lstat()
        assert (now.st_ino, now.st_mode, now.st_mtime_ns) == (listing.st_ino, listing.st_mode, listing.st_mtime_ns)
        if ".iiiffs" in path or not Path(path).is_file() or Path(path).is_symlink():
            continue
        assert len(Path(path).read_bytes()) == listing.st_size == now.st_size, path
    assert sum(path.endswith("manifest.json") for path in told) == 4  # three folders and a month
    assert any(path.endswith("default.jpg") for path in told)


def test_the_top_of_the_tree(sample: Mount) -> None:
    assert names(sample.root) == [".iiiffs", "collection.json", "index.html", "pictures"]
    assert names(sample.account) == [
        "collection.json", "favorites", "files", "iiif", "index.html", "search", "tags", "timeline",
    ]  # fmt: skip
    assert names(sample.account / "iiif") == ["2", "3", "presentation"]
    for place in ("2", "3", "presentation/3"):
        assert names(sample.account / "iiif" / place) == []
    assert "manifest.json" not in names(sample.files / "empty")
    with pytest.raises(FileNotFoundError):
        (sample.files / "empty" / "manifest.json").stat()


def test_aliases_lead_to_services_that_are_pictures(sample: Mount) -> None:
    assert names(sample.files / "iiif") == ["a.jpg", "b.png", "gray.jpg"]
    for name in ("a.jpg", "b.png", "gray.jpg"):
        info = json.loads((sample.files / "iiif" / name / "info.json").read_bytes())
        assert info["id"].endswith((sample.files / "iiif" / name).resolve().name)
    for name in ("notes.txt", "film.bin", "nothing.jpg"):
        with pytest.raises(FileNotFoundError):
            (sample.files / "iiif" / name).lstat()


def test_the_control_folder_says_the_truth(sample: Mount) -> None:
    status = json.loads((sample.root / ".iiiffs" / "status.json").read_bytes())
    assert (status["pid"], status["mountpoint"]) == (sample.process.pid, str(sample.root))
    assert "iiiffs_loop_lag_max_s " in (sample.root / ".iiiffs" / "metrics").read_text()


def test_a_walk_leaves_no_handle_open(sample: Mount) -> None:
    for entry in walk(sample.root):
        if entry.is_file(follow_symlinks=False):
            Path(entry.path).read_bytes()
    assert sample.gauge("kernel", "bugs") == 0
    # the kernel releases a handle some time after close has returned
    eventually(lambda: sample.gauge("kernel", "handles"), lambda handles: handles == 0)
