"""Names of unfinished files: what real programs write, and nothing that a person or a camera calls a picture."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.tree.junk import is_junk
from iiiffs.tree.scratch import SCRATCH, is_scratch

UNFINISHED = (
    ".goutputstream-U6EGP0",
    "photo.jpg.4F2K9Z",
    "Photo.JPEG.aBc123",
    ".EditorWindow-AbCdEf.digikamtempfile.jpg",
    "x.digikamtempfile",
    ".~lock.notes.odt#",
    "lu1234567abc.tmp",
    "~$report.docx",
    "~WRL0001.tmp",
    "A.TMP",
    "x.temp",
    ".~tmp~",
    ".rsync-partial",
    ".IMG_0001.JPG.Xy12Zq",
    ".README.abcdef",
    ".photo.jpg.~5d3b1a",
    ".syncthing.photo.jpg.tmp",
    "~syncthing~photo.jpg.tmp",
    ".unison.photo.jpg.3a4b.unison.tmp",
    "photo.jpg.part",
    "aBcD1234.jpg.part",
    "photo.jpg.a1b2c3d4.partial",
    "photo.jpg.filepart",
    "photo.jpg.aria2",
    "clip.mp4.ytdl",
    "clip.mp4.part-Frag12",
    "photo.jpg.crdownload",
    "Unconfirmed 123456.crdownload",
    "photo.jpg.opdownload",
    "photo.jpg.download",
    ".com.google.Chrome.aB3dE5",
    ".org.chromium.Chromium.aB3dE5",
    ".pending-1700000000-IMG_1.jpg",
    ".photo.txt.swp",
    ".photo.txt.swx",
    "4913",
    "photo.jpg~",
    "photo.jpg.~1~",
    "#notes.txt#",
    ".#notes.txt",
    ".notes.txt.kate-swp",
    "notes.txt___jb_tmp___",
    "sedAb12cD",
    "tmpfileQwErTy",
    "tmpk3j_9x2a",
    "photo.jpg_exiftool_tmp",
    "photo.jpg.sb-1a2b3c4d-AbCdEf",
    ".smbdeleteAAA1234",
    "two\nlines.part",
)
FINISHED = (
    "photo.jpg",
    "IMG_0001.HEIC",
    "DSC0001.ARW",
    "part.jpg",
    "temp.jpg",
    "tmp.jpg",
    "tmp20231112.jpg",
    "sedona.jpg",
    "download.png",
    "photo.v2.jpg",
    "photo.2023.jpg",
    "Sedona",
    "sunset",
    "photo.jpg.backup",
    "photo.jpg_original",
    "photo.jpg.xmp",
    ".hidden.jpg",
    "#1.jpg",
    "~ home.jpg",
    "49130",
    "notes.txt",
    "clip.part1.mp4",
    "a.jpg.b.jpg",
    "movie.1080p.mp4",
    "Untitled",
    "",
)


@pytest.mark.parametrize("name", UNFINISHED)
def test_names_of_unfinished_files(name: str) -> None:
    assert is_scratch(name)
    assert not is_junk(name), "it can be made, and is found"


@pytest.mark.parametrize("name", FINISHED)
def test_names_of_files_to_be_sent(name: str) -> None:
    assert not is_scratch(name)


@pytest.mark.parametrize("name", ["._photo.jpg", ".DS_Store", "Thumbs.db", ".Trash-1000", ".nfs0000001", "desktop.ini"])
def test_litter_is_litter(name: str) -> None:
    assert is_junk(name)


@pytest.mark.parametrize(("pattern", "program"), SCRATCH)
def test_every_row_is_for_a_program_and_matches_a_name_of_the_list(pattern: str, program: str) -> None:
    assert program
    assert any(re.fullmatch(pattern, name, re.IGNORECASE | re.DOTALL) for name in UNFINISHED)


@given(st.from_regex(r"[A-Za-z0-9_ ()+,-]{1,20}(\.[A-Za-z0-9_ -]{1,12})?\.(jpg|JPG|png|heic|dng|mp4)", fullmatch=True))
def test_a_plain_picture_is_never_unfinished(name: str) -> None:
    assert not is_scratch(name)
