"""The one table of names that programs give to files that are not finished: they stay here until they are renamed.

Such a file can be made, found, read and removed like any other, and is never sent under that name (DESIGN §4.4). What
is litter for good is `iiiffs.tree.junk`'s. A row that is wrong costs somebody a photo, which never arrives; so each
names the program that it is for, and none matches what a camera or a person calls a picture.
"""

from __future__ import annotations

import re

MEDIA = (
    "jpe?g|jpe|jfif|png|gif|webp|hei[cf]|avif|jxl|tiff?|bmp|dng|cr[23]|nef|arw|raf|orf|rw2|mp4|m4v|mov|avi|mkv|webm|xmp"
)

SCRATCH: tuple[tuple[str, str], ...] = (
    # name as a whole, without regard to case                 who makes it
    (r"\.goutputstream-.+", "GLib: g_file_replace (Nautilus, gedit, GIMP, gThumb)"),
    (rf".+\.({MEDIA})\.(?!backup$)[a-z0-9]{{6}}", "GLib: g_file_set_contents; Qt: QSaveFile (Gwenview, Krita)"),
    (r".+\.digikamtempfile(\..+)?", "digiKam"),
    (r"\.~lock\..+#", "LibreOffice: lock"),
    (r"~\$.+", "Microsoft Office: lock"),
    (r".+\.te?mp", "many: Office, LibreOffice, Syncthing (.syncthing.NAME.tmp), Unison, jpegoptim"),
    (r"\.~tmp~", "rsync --delay-updates"),
    (r"\.rsync-(partial|tmp)", "rsync --partial-dir, --temp-dir, as the manual calls them"),
    (r"\..+\.[a-z0-9]{6}", "rsync: .NAME.XXXXXX"),
    (r"\..+\.~[0-9a-f]+", "Nextcloud and ownCloud clients"),
    (r"\.(syncthing|unison)\..+", "Syncthing, Unison"),
    (r".+\.(part|partial|filepart|aria2|ytdl|!qb|!ut|!sync)", "Firefox, KIO, yt-dlp, rclone, WinSCP, aria2, torrents"),
    (r".+\.part-frag[0-9]+", "yt-dlp"),
    (r".+\.(crdownload|opdownload|download|!bt)", "Chromium and its kin, Opera, Safari"),
    (r"\.(com\.google\.chrome|org\.chromium\.chromium)\..+", "Chromium, before it knows the name"),
    (r"\.pending-[0-9]+-.+", "Android's media store"),
    (r"\..+\.sw[a-z]", "vim, nano: swap"),
    (r"4913|5036|5159|5282", "vim: may a file be made here?"),
    (r".+~", "vim, Emacs, Kate, cp --backup: what was there before"),
    (r"#.+#", "Emacs: autosave"),
    (r"\.#.+", "Emacs: lock"),
    (r"\..+\.kate-swp", "Kate"),
    (r".+___jb_(tmp|old)___", "JetBrains"),
    (r"sed[a-z0-9]{6}", "sed -i"),
    (r"tmpfile[a-z0-9]{6}", "gphoto2"),
    (r"tmp[a-z0-9_]{8}", "Python: tempfile"),
    (r".+_exiftool_tmp", "ExifTool"),
    (r".+\.sb-[0-9a-f]{8}-[a-z0-9]{6}", "macOS: safe save"),
    (r"\.smbdelete.+", "Samba"),
)  # fmt: skip

BACKUPS = ("{}_original", "{}~", "{}.bak", "{}.orig", "{}.old")
"""What programs call a file while they put another one into its place, and leave it as, some of them: exiftool; vim,
Emacs, GLib; many. Beside SCRATCH."""

_pattern = re.compile("|".join(f"(?:{pattern})" for pattern, _ in SCRATCH), re.IGNORECASE | re.DOTALL)


def is_scratch(name: str) -> bool:
    """True if a file of that name is not finished, or never meant to be kept."""
    return _pattern.fullmatch(name) is not None
