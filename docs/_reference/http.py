"""The page of the endpoints, from the OpenAPI document of the application."""

from collections.abc import Iterator, Mapping
from typing import Any

from _reference.examples import EXAMPLES, NOTES
from _reference.tables import NONE, code, table, words
from laserve.api.app import create_app
from laserve.config import load
from laserve.serve.wiring import make_service

INTRO = """# HTTP

Bodies are JSON in UTF-8, and unknown fields are refused. All endpoints but `GET /healthz`, `GET /readyz`
and `GET /metrics` are also served under `/v1`. A running service shows this interface at `/docs`, where
every endpoint can be tried, and as OpenAPI at `/openapi.json`.

If `server.api_keys` is set, every endpoint but those three requires the header `Authorization: Bearer
SECRET` and answers 401 without it. Every endpoint answers 413 for a body over `server.max_body_bytes` and
500 after an unexpected error. [Errors](errors.md) lists all of them; their body is [ErrorBody](#errorbody).
A refused request changes nothing but metrics.

"""
Schema = Mapping[str, Any]


def document() -> dict[str, Any]:
    """The OpenAPI document of a service that is never started."""
    return create_app(make_service(load(profile="fake"))).openapi()


def page() -> str:
    openapi = document()
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    }
    if differ := set(operations) ^ set(EXAMPLES):
        raise SystemExit(f"docs/_reference/examples.py and the endpoints differ: {', '.join(sorted(differ))}")
    overview = table(
        ["endpoint", "what"],
        (
            [f"[`{name}`](#{_anchor(name)})", operations[name]["description"].partition("\n")[0]]
            for name in EXAMPLES
        ),
    )
    schemas = openapi["components"]["schemas"]
    parts = [_endpoint(name, operations[name], schemas) for name in EXAMPLES]
    bodies = [_body(name, schemas[name]) for name in sorted(_linked(parts, schemas))]
    return "\n".join([INTRO + overview, *parts, "## Bodies\n", *bodies])


def _anchor(heading: str) -> str:
    kept = (letter for letter in heading.lower() if letter.isalnum() or letter in " -_")
    return "".join(kept).replace(" ", "-")


def _linked(parts: list[str], schemas: Schema) -> set[str]:
    """Names of the bodies that the endpoints, or those bodies, link to."""
    names: set[str] = set()
    texts = parts
    while texts:
        new = {name for name in schemas if any(f"(#{name.lower()})" in text for text in texts)} - names
        names |= new
        texts = [_body(name, schemas[name]) for name in new]
    return names


def _endpoint(name: str, operation: Schema, schemas: Schema) -> str:
    parts = [f"## {name}\n\n{operation['description']}\n"]
    if name in NOTES:
        parts.append(f"{NOTES[name]}\n")
    parts.append(f"```bash\n{EXAMPLES[name]}\n```\n")
    if parameters := operation.get("parameters"):
        rows = [
            [
                code(parameter["name"].title() if parameter["in"] == "header" else parameter["name"]),
                parameter["in"],
                _type(parameter["schema"]),
                _default(parameter["schema"], required=parameter.get("required", False)),
                parameter.get("description") or _PARAMETERS[parameter["name"]],
            ]
            for parameter in parameters
        ]
        parts.append(table(["parameter", "in", "type", "default", "what"], rows))
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if schema:
        parts.append(_fields(schemas[schema["$ref"].rpartition("/")[2]], "field"))
    parts.append(table(["status", "body", "when"], _answers(operation)))
    return "\n".join(parts)


#: Parameters of a path, which the code leaves without a description.
_PARAMETERS = {"decision_id": "Id in the answer of `POST /generate`."}


def _answers(operation: Schema) -> Iterator[list[str]]:
    for status, answer in operation["responses"].items():
        when = answer["description"]
        kinds = answer.get("content", {})
        schema = kinds.get("application/json", {}).get("schema", {})
        body = _type(schema) if "$ref" in schema else ", ".join(map(code, kinds)) or NONE
        yield [status, body, "The request was served." if when == "Successful Response" else when]


def _body(name: str, schema: Schema) -> str:
    return f"### {name}\n\n{schema.get('description', '')}\n\n{_fields(schema, 'field', answer=True)}"


def _fields(schema: Schema, head: str, *, answer: bool = False) -> str:
    required = set(schema.get("required", ()))
    rows = [
        [
            code(name),
            _type(field) + (" or null" if answer and _nullable(field) else ""),
            *([] if answer else [_default(field, required=name in required)]),
            field.get("description", ""),
        ]
        for name, field in schema["properties"].items()
    ]
    return table([head, "type", *([] if answer else ["default"]), "what"], rows)


def _type(schema: Schema) -> str:
    return words(schema, lambda name: f"[{name}](#{name.lower()})")


def _nullable(schema: Schema) -> bool:
    return any(one.get("type") == "null" for one in schema.get("anyOf", ()))


def _default(schema: Schema, *, required: bool) -> str:
    if required:
        return "required"
    value = schema.get("default")
    if value is None:
        return NONE
    return "empty" if value == "" else code(str(value).lower() if isinstance(value, bool) else value)
