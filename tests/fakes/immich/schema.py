"""Immich's own OpenAPI document as judge: of what a client asks, and of what the fake answers.

tests/data/immich/openapi-*.json.gz are the documents of 2.7.5 and 3.1.0, minified. Names a document does not know are
violations as well, in both directions: the real server ignores an unknown one silently, which is how
`{"filter": …}` returned a whole library on 3.1.0 (immich.md §2).
"""

from __future__ import annotations

import functools
import gzip
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jsonschema_rs

DATA = Path(__file__).parents[2] / "data" / "immich"
METHODS = ("get", "put", "post", "patch", "delete")
FORM = "multipart/form-data"

TOLERATED_FIELDS = {"/assets": frozenset({"deviceAssetId", "deviceId", "fileSize"})}
"""Form fields that real clients send and the server ignores: immich.md §4 (devices), @immich/cli 3.2.2 (fileSize)."""
TOLERATED_QUERY = frozenset({"apiKey"})
"""immich.md §1."""
UNDOCUMENTED_STATUS = frozenset({206, 302, 304})
"""Recorded, though not in the documents: original-range-0-99, thumb-jpeg-fullsize, original-if-none-match."""

RECORDED_PROPERTIES = {"TimeBucketAssetResponseDto": {"status": {"type": "array", "items": {"type": "string"}}}}
"""Answered by both servers (timeline-bucket-album), though in neither document."""

Schema = dict[str, object]


def plain_schema(node: object, *, closed: bool) -> object:
    """An OpenAPI 3.0 schema as JSON Schema: nullable, exclusive limits; `closed` allows no name it does not list."""
    if isinstance(node, list):
        return [plain_schema(item, closed=closed) for item in node]
    if not isinstance(node, dict):
        return node
    plain: Schema = {}
    for key, value in node.items():
        if key in ("example", "discriminator", "deprecated", "description", "default", "title") or key.startswith("x-"):
            continue
        if key == "properties":
            plain[key] = {name: plain_schema(below, closed=closed) for name, below in value.items()}
        else:
            plain[key] = plain_schema(value, closed=closed)
    if plain.get("format") == "binary":
        plain.pop("format")
    for flag, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if plain.get(flag) is True:
            plain[flag] = plain.pop(limit)
        elif plain.get(flag) is False:
            plain.pop(flag)
    if closed and "properties" in plain and "additionalProperties" not in plain:
        plain["additionalProperties"] = False
    return _nullable(plain) if plain.pop("nullable", False) else plain


def _nullable(plain: Schema) -> Schema:
    if not isinstance(plain.get("type"), str):
        return {"anyOf": [plain, {"type": "null"}]}
    plain["type"] = [plain["type"], "null"]
    if isinstance(enum := plain.get("enum"), list) and None not in enum:
        plain["enum"] = [*enum, None]
    return plain


def told(value: str, schema: Mapping[str, object]) -> object:
    """A query or form value as the type its schema names; the text itself where it is not of that type."""
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if "boolean" in kinds and value in ("true", "false"):
        return value == "true"
    if "integer" in kinds or "number" in kinds:
        try:
            return int(value) if re.fullmatch(r"-?\d+", value) else float(value)
        except ValueError:
            return value
    return value


@dataclass(slots=True)
class Operation:
    """One method of one path. `permission` is what a key must hold; None where the document names none."""

    method: str
    template: str
    permission: str | None
    public: bool
    document: Document
    raw: Mapping[str, object] = field(repr=False)
    _validators: dict[object, object] = field(default_factory=dict, repr=False)

    def takes(self, name: str) -> bool:
        """True if the document lists a parameter of that name."""
        return any(parameter["name"] == name for parameter in self._parameters())

    def request_faults(self, params: Mapping[str, str], query: Sequence[tuple[str, str]]) -> list[str]:
        """What in the path and the query the document does not allow."""
        faults = []
        known: dict[str, Mapping[str, object]] = {}
        for parameter in self._parameters():
            known[str(parameter["name"])] = parameter
            if parameter["in"] == "path" and str(parameter["name"]) in params:
                faults += self._value_faults(parameter, params[str(parameter["name"])])
            if parameter.get("required") and parameter["in"] == "query" and parameter["name"] not in dict(query):
                faults.append(f"query: {parameter['name']} is required")
        for name, value in query:
            if name not in known or known[name]["in"] != "query":
                if name not in TOLERATED_QUERY:
                    faults.append(f"query: {name} is not in the document")
            else:
                faults += self._value_faults(known[name], value)
        return faults

    def body_faults(self, body: object) -> list[str]:
        """What in a JSON body the document does not allow; None: there was no body."""
        content = self._content("requestBody")
        if content is None:
            return [] if body is None else ["body: is not in the document"]
        if body is None:
            required = self.raw.get("requestBody")
            return ["body: required"] if isinstance(required, Mapping) and required.get("required") else []
        return self._faults("body", content, body)

    def form_faults(self, fields: Mapping[str, str]) -> list[str]:
        """What in the fields of a multipart form the document does not allow; files are fields with their name."""
        content = self._content("requestBody", FORM)
        if content is None:
            return ["body: no form is in the document"]
        properties, required = self.document.properties(content)
        ignored = TOLERATED_FIELDS.get(self.template, frozenset()) - set(properties)
        faults = [f"form: {name} is required" for name in required if name not in fields]
        for name, value in fields.items():
            if name in properties:
                schema = properties[name]
                if schema.get("format") != "binary" and schema.get("type") != "array" and "$ref" not in schema:
                    faults += self._faults(f"form.{name}", schema, told(value, schema))
            elif name not in ignored:
                faults.append(f"form: {name} is not in the document")
        return faults

    def answer_faults(self, status: int, value: object) -> list[str]:
        """What in an answer the document does not allow. Failures are not in the documents: samples speak for them."""
        if status >= 400 or status in UNDOCUMENTED_STATUS:
            return []
        responses = self.raw["responses"]
        assert isinstance(responses, Mapping)
        if str(status) not in responses:
            return [f"status {status} is not in the document"]
        content = self._content("responses", "application/json", str(status))
        if content is None:
            return []
        return self._faults(f"answer {status}", content, value)

    def _parameters(self) -> Iterable[Mapping[str, object]]:
        parameters = self.raw.get("parameters", [])
        assert isinstance(parameters, list)
        return parameters

    def _content(self, where: str, kind: str = "application/json", status: str = "") -> Mapping[str, object] | None:
        node: object = self.raw.get(where)
        for key in ([status] if status else []) + ["content", kind, "schema"]:
            node = node.get(key) if isinstance(node, Mapping) else None
        return node if isinstance(node, Mapping) else None

    def _value_faults(self, parameter: Mapping[str, object], text: str) -> list[str]:
        schema = self.document.resolved(parameter["schema"])
        if schema.get("type") == "array":
            schema = self.document.resolved(schema["items"])
        return self._faults(str(parameter["name"]), schema, told(text, schema))

    def _faults(self, where: str, schema: Mapping[str, object], value: object) -> list[str]:
        validator = self._validators.get(id(schema))
        if validator is None:
            validator = self._validators[id(schema)] = self.document.validator(schema)
        assert isinstance(validator, jsonschema_rs.Draft202012Validator)
        if validator.is_valid(value):
            return []
        return [
            f"{where}{''.join(f'[{part!r}]' for part in error.instance_path)}: {error.message[:200]}"
            for _, error in zip(range(5), validator.iter_errors(value), strict=False)
        ]


class Document:
    """One OpenAPI document, ready to judge."""

    def __init__(self, text: bytes) -> None:
        self._raw = json.loads(text)
        for name, properties in RECORDED_PROPERTIES.items():
            self._raw["components"]["schemas"][name]["properties"].update(properties)
        self._components = plain_schema({"schemas": self._raw["components"]["schemas"]}, closed=True)
        self._exact: dict[tuple[str, str], Operation] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Operation]]] = []
        for template, methods in self._raw["paths"].items():
            operations = {
                name.upper(): Operation(
                    name.upper(), template, raw.get("x-immich-permission"), "security" not in raw, self, raw
                )
                for name, raw in methods.items()
                if name in METHODS
            }
            if "{" not in template:
                self._exact.update({(name, template): operation for name, operation in operations.items()})
            else:
                names = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template))
                self._patterns.append((re.compile(names), operations))

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation and the values in its path; HEAD is GET's. None: not in the document."""
        name = "GET" if method == "HEAD" else method
        if operation := self._exact.get((name, path)):
            return operation, {}
        for pattern, operations in self._patterns:
            if name in operations and (match := pattern.fullmatch(path)):
                return operations[name], match.groupdict()
        return None

    def resolved(self, schema: object) -> Mapping[str, object]:
        """The schema itself where it only refers to one."""
        assert isinstance(schema, Mapping)
        parts = schema.get("allOf")
        if isinstance(parts, list) and len(parts) == 1:
            return self.resolved(parts[0])
        if isinstance(reference := schema.get("$ref"), str):
            return self.resolved(self._raw["components"]["schemas"][reference.rpartition("/")[2]])
        return schema

    def properties(self, schema: Mapping[str, object]) -> tuple[dict[str, Mapping[str, object]], list[str]]:
        """The properties of an object, resolved, and the names that are required."""
        found = self.resolved(schema)
        properties, required = found["properties"], found.get("required", [])
        assert isinstance(properties, Mapping) and isinstance(required, list)
        return {name: self.resolved(below) for name, below in properties.items()}, required

    def validator(self, schema: Mapping[str, object]) -> jsonschema_rs.Draft202012Validator:
        """Compiled; formats are checked."""
        plain = plain_schema(dict(schema), closed=True)
        assert isinstance(plain, dict)
        return jsonschema_rs.Draft202012Validator({**plain, "components": self._components}, validate_formats=True)


def document_name(version: str) -> str:
    """The recorded document nearest to a server of `version`."""
    return "3.1.0" if int(version.split(".")[0]) >= 3 else "2.7.5"


@functools.cache
def document(name: str) -> Document:
    """The document of "3.1.0" or "2.7.5"; read once a process."""
    return Document(gzip.decompress((DATA / f"openapi-{name}.json.gz").read_bytes()))
