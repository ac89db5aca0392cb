"""The one table of names that desktops and tools leave everywhere (DESIGN §2.9).

Such a name is never looked up at a provider, never shown, and never sent. Names that a person could have chosen
for a photo are not here, nor those of files that are not finished: iiiffs.tree.scratch.
"""

from __future__ import annotations

JUNK_NAMES = frozenset(
    {
        ".DS_Store",
        ".Spotlight-V100",
        ".Trash",
        ".TemporaryItems",
        ".apdisk",
        ".directory",
        ".fseventsd",
        ".git",
        ".hidden",
        ".hg",
        ".htaccess",
        ".localized",
        ".nomedia",
        ".svn",
        ".trackerignore",
        ".xdg-volume-info",
        "Thumbs.db",
        "autorun.inf",
        "desktop.ini",
        "ehthumbs.db",
    }
)

JUNK_PREFIXES = ("._", ".Trash-", ".fuse_hidden", ".iiiffs-", ".nfs")


def is_junk(name: str) -> bool:
    """True if `name` is desktop or tool litter rather than anybody's photo or folder."""
    return name in JUNK_NAMES or name.startswith(JUNK_PREFIXES)
