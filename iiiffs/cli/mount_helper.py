"""mount(8)'s ways to call us, turned into `iiiffs mount …`; and the options of `-o`.

mount(8) and mount.fuse3(8) know these forms, with SOURCE a configuration file, or "none" or "iiiffs" for the default:

    mount.fuse.iiiffs SOURCE MOUNTPOINT [-sfnv] [-o OPTIONS]     /sbin/mount.fuse.iiiffs is a link to iiiffs
    mount.iiiffs      SOURCE MOUNTPOINT [-sfnv] [-o OPTIONS]     the same for type "iiiffs"
    iiiffs SOURCE MOUNTPOINT -o OPTIONS                          what mount.fuse3 runs for type "fuse.iiiffs"

A mount helper returns when the mount answers, so all of them mean --background. Rule: mount(8) "EXTERNAL HELPERS".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from iiiffs.errors import ConfigError

HELPER_NAMES = frozenset({"mount.fuse.iiiffs", "mount.iiiffs"})
IGNORED = frozenset(
    {
        *("auto", "noauto", "defaults", "_netdev", "nofail", "user", "nouser", "users", "owner", "group", "rw"),
        *("dev", "nodev", "suid", "nosuid", "exec", "noexec", "atime", "noatime", "relatime", "norelatime"),
        *(
            "diratime",
            "nodiratime",
            "strictatime",
            "nostrictatime",
            "lazytime",
            "nolazytime",
            "async",
            "sync",
            "silent",
        ),
    }
)
"""For mount(8), or without meaning on a read-only mount that is always nosuid, nodev, noexec."""


@dataclass(frozen=True, slots=True)
class HelperOptions:
    """What `-o` asked for; None or empty = not said."""

    read_only: bool = False
    allow_other: bool = False
    uid: int | None = None
    gid: int | None = None
    umask: int | None = None
    config: Path | None = None
    accounts: tuple[str, ...] = field(default=())


def parse_mount_options(texts: Iterable[str]) -> HelperOptions:
    r"""The options in `texts`, each a list with commas ("\," is a comma inside a value); later ones win.

    Errors: ConfigError for an option or value that is not known here.
    """
    options = HelperOptions()
    for text in texts:
        for part in re.split(r"(?<!\\),", text):
            if part:
                options = _with_option(options, part.replace("\\,", ","))
    return options


def _with_option(options: HelperOptions, text: str) -> HelperOptions:
    name, equals, value = text.partition("=")
    match name, bool(equals):
        case "ro", False:
            return replace(options, read_only=True)
        case "allow_other", False:
            return replace(options, allow_other=True)
        case "uid", True:
            return replace(options, uid=parse_id(value, "-o uid"))
        case "gid", True:
            return replace(options, gid=parse_id(value, "-o gid"))
        case "umask", True:
            return replace(options, umask=parse_umask(value, "-o umask"))
        case "config", True:
            return replace(options, config=Path(value))
        case "account", True:
            return replace(options, accounts=(*options.accounts, value))
        case (("comment" | "fsname" | "subtype"), True):
            return options
    if text in IGNORED or name.startswith(("x-", "X-")):
        return options
    raise ConfigError(
        f"-o {text}: unknown mount option; "
        "known are ro, allow_other, uid=N, gid=N, umask=OCTAL, config=FILE, account=NAME"
    )


def parse_id(text: str, option: str) -> int:
    """A user's or group's number. Errors: ConfigError."""
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) >= 2**32 - 1:
        raise ConfigError(f"{option}: expected a number, found {text!r}")
    return int(text)


def parse_umask(text: str, option: str) -> int:
    """Mode bits from octal digits. Errors: ConfigError."""
    if not re.fullmatch(r"(0o?)?[0-7]{1,4}", text) or int(text.removeprefix("0o"), 8) > 0o777:
        raise ConfigError(f"{option}: expected octal digits up to 777 such as 022, found {text!r}")
    return int(text.removeprefix("0o"), 8)


def translate_argv(argv: Sequence[str], commands: Collection[str]) -> list[str]:
    """The arguments after the program's name, as the command line knows them. `argv` is sys.argv.

    Errors: ConfigError if the program's name is a mount helper's and its arguments are not.
    """
    program, *arguments = argv
    called_as_helper = PurePath(program).name in HELPER_NAMES
    if not called_as_helper and not _is_fuse_form(arguments, commands):
        return arguments
    places, passed_on = _split_helper_arguments(arguments)
    if len(places) != 2:
        raise ConfigError(
            f"{PurePath(program).name}: expected SOURCE MOUNTPOINT [-o OPTIONS], found {' '.join(arguments)!r}"
        )
    source, mountpoint = places
    config = [] if source in {"none", "iiiffs", ""} else ["--config", source]
    return ["mount", "--background", *config, *passed_on, "--", mountpoint]


def _is_fuse_form(arguments: Sequence[str], commands: Collection[str]) -> bool:
    """SOURCE MOUNTPOINT -o …: two words that begin with no verb of ours, and an -o."""
    return (
        len(arguments) >= 4
        and arguments[0] not in commands
        and not arguments[0].startswith("-")
        and not arguments[1].startswith("-")
        and arguments[2].startswith("-o")
    )


def _split_helper_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """(words that are no option, options for `iiiffs mount`). -s, -f, -n are mount(8)'s own affairs."""
    places: list[str] = []
    passed_on: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument in {"-o", "-t", "-N"}:
            value = next(rest, "")
            passed_on += ["-o", value] if argument == "-o" else []
        elif argument.startswith("-o"):
            passed_on += ["-o", argument[2:]]
        elif re.fullmatch(r"-[sfnv]+", argument):
            passed_on += ["-v"] if "v" in argument else []
        else:
            places.append(argument)
    return places, passed_on
