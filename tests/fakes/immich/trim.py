"""`python -m tests.fakes.immich.trim DOCUMENT.json OUT.json.gz`: what the fake is judged by, of Immich's own document.

Paths, methods, parameters, types, required fields, statuses and permissions are facts of an interface; descriptions,
examples and history are their authors' text and are left out. So is what the fake does not answer.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path

from tests.fakes.immich import server as server  # its routes register themselves
from tests.fakes.immich.calls import ROUTES

KEPT_OF_OPERATIONS = frozenset({"parameters", "requestBody", "responses", "security", "x-immich-permission"})
DROPPED = frozenset(
    {"description", "summary", "example", "examples", "title", "deprecated", "default", "discriminator"}
)
REFERENCE = re.compile(r"#/components/schemas/(\w+)")


def stripped(node: object, *, names: bool = False) -> object:
    """`node` without prose. `names`: its keys are names of fields, not words of the schema language."""
    if isinstance(node, dict):
        kept = {
            key: value
            for key, value in node.items()
            if names or (key not in DROPPED and (key == "x-immich-permission" or not key.startswith("x-")))
        }
        return {key: stripped(value, names=key == "properties") for key, value in kept.items()}
    return [stripped(item) for item in node] if isinstance(node, list) else node


def trimmed(document: dict[str, dict[str, dict[str, object]]]) -> dict[str, object]:
    """The operations that the fake has, and the schemas that these need."""
    routes = {(method.lower(), path) for method, path in ROUTES} | {("post", "/assets")}
    paths = {
        path: {
            method: stripped({key: value for key, value in operation.items() if key in KEPT_OF_OPERATIONS})
            for method, operation in methods.items()
            if (method, path) in routes and isinstance(operation, dict)
        }
        for path, methods in document["paths"].items()
    }
    paths = {path: methods for path, methods in paths.items() if methods}
    schemas = document["components"]["schemas"]
    needed: set[str] = set()
    waiting: list[object] = [paths]
    while waiting:
        for name in REFERENCE.findall(json.dumps(waiting.pop())):
            if name not in needed:
                needed.add(name)
                waiting.append(stripped(schemas[name]))
    return {"paths": paths, "components": {"schemas": {name: stripped(schemas[name]) for name in sorted(needed)}}}


def main(source: str, target: str) -> None:
    """Equal documents give equal files."""
    text = json.dumps(trimmed(json.loads(Path(source).read_bytes())), separators=(",", ":"))
    Path(target).write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
