"""`iiiffs config init` and `iiiffs config check`."""

from __future__ import annotations

import os
import sys

import typer

from iiiffs.cli.arguments import ConfigFile
from iiiffs.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Write a first configuration, or check the one there is.")

SAMPLE = """\
# Configuration of iiiffs. Every key that is commented out shows its default. `iiiffs config check` checks this file.

# Where a web server serves the mount; every IIIF id begins with it, so choose it once and keep it.
base_url = "http://127.0.0.1:8080"

[cache]                                   # may be deleted at any time
#path = "~/.cache/iiiffs"
#size = "20 GiB"
#cut_ahead = true                         # make all tiles of a picture once somebody zooms into it

[state]                                   # ids of albums and photos: may never be deleted
#path = "~/.local/state/iiiffs"
#min_free = "2 GiB"                       # `iiiffs doctor` warns when less is free there

[iiif]
#tile_size = 512                          # px
#manifest_max = 5000                      # an album of more photos has a collection.json of parts as well
#viewer_base = ""                         # where viewers are served; "" = the folder of `iiiffs viewer install`
#max_width = 16384                        # px, of one answer
#max_area = 100_000_000                   # px, of one answer

[tell]                                    # what documents may tell of what is written in files
#places = false
#people = true
#cameras = true
#creators = true

[web]
#allow_origins = []                       # other sites that may read it: ["https://viewer.example.org"], or ["*"]

# One section an account: its name is a directory of the mount and a part of every URI. `iiiffs add immich` adds one of
# a photo server, and keeps its key where it belongs: never here.
[account.pictures]
provider = "folder"
path = "~/Pictures"
access = "read"                           # "add": copy photos in; "edit": also change, rename and remove
#list_timeout = "30 s"                    # a first listing that takes longer is an error, and goes on behind
#poll = "30 s"                            # how often it is looked through where the kernel does not tell of changes
#slug = ""                                # another name in the mount and in URIs; "" = the section's name
#aliases = []                             # earlier slugs: still found, so that old addresses go on working
"""


@app.command("init")
def init(config: ConfigFile = None) -> None:
    """Write a commented sample configuration, readable by you alone. An existing file is left as it is."""
    from iiiffs.config import default_config_path

    file = config or default_config_path()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConfigError(f"{file}: exists already and is left as it is; `iiiffs config check` checks it") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}") from None
    with os.fdopen(target, "w", encoding="utf-8") as stream:
        stream.write(SAMPLE)
    typer.echo(f"{file} is written: set the path of [account.pictures], then `iiiffs mount MOUNTPOINT`")


@app.command("check")
def check(config: ConfigFile = None) -> None:
    """Check the configuration: print its accounts and what this version does not do, or every problem (exit code 2)."""
    from iiiffs.config import examine_config, notices

    read, problems = examine_config(config)
    if read is None:
        for problem in problems:
            print(f"iiiffs: {problem}", file=sys.stderr)
        raise typer.Exit(ConfigError.exit_code)
    typer.echo(f"{read.file} is valid; served at {read.base_url}")
    for account in read.accounts:
        said = {key: value for key, value in account.options.items() if value not in ("", False)}
        keys = ", ".join(f"{key} = {value}" for key, value in said.items())
        shown = f", shown as {account.slug}" if account.slug != account.name else ""
        typer.echo(f'account {account.name}: {account.provider} ({keys}), access = "{account.access}"{shown}')
    for notice in notices(read):
        typer.echo(f"notice: {notice}")
