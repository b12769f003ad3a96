"""The page of the errors, from their classes."""

import inspect
from collections.abc import Iterator

from _reference.tables import code, table
from laserve import errors
from laserve.errors import LaserveError

INTRO = """# Errors

The body of every error is one object:

```json
{"error": {"type": "invalid_request_error", "code": "invalid_value", "message": "n: ...", "param": "n"}}
```

`type` is for a program that treats whole kinds of errors alike, `code` is the error itself, `message` is
for people, and `param` names the field or parameter, or is null. With `idempotency_conflict` the object
also holds `stored`, the body that came before. 429 and 503 carry the header `Retry-After` in whole seconds,
and 401 carries `WWW-Authenticate`.

A refused request changes nothing but `laserve_requests_total`, and `laserve_rejected_total` if no permit
was free. A stream that has begun ends with an `error` event, which holds the same object, and so does the
last line of an [export](http.md#get-export) that breaks off.

"""
#: Code -> what a client, or an operator, should do. Every code of the classes must be here.
_DO = {
    "invalid_value": "Mend the field that `param` names; the message gives its bound.",
    "body_too_large": "Send less, or raise `server.max_body_bytes`.",
    "invalid_api_key": "Send `Authorization: Bearer SECRET` with one of `server.api_keys`.",
    "not_allowed": "Choose what the message allows, or change the settings under `scoring`.",
    "not_found": "Check the id or name; ids are those of this service's database.",
    "deleted": "Do not repeat; the texts are gone for good.",
    "idempotency_conflict": "Use a new `Idempotency-Key` to correct a feedback, the old one to repeat it.",
    "arm_conflict": "Read the arm's state with `GET /arms`, and wait or choose another change.",
    "overloaded": "Repeat after `Retry-After`. If it lasts, raise `server.max_concurrent_requests`.",
    "unavailable": "Repeat after `Retry-After`.",
    "not_ready": "Wait until `GET /readyz` answers 200; its `why` names what is missing.",
    "engine_error": "Repeat after `Retry-After`; a dead engine is started again.",
    "store_error": "Repeat after `Retry-After`; the operator looks at disk space and at the service's log.",
    "no_candidate": "Raise `timeout_s`, or ask for fewer or shorter candidates.",
    "damaged": "Report it to the operator; all other decisions are served.",
    "internal_error": "Report it; the service's log has the traceback.",
    "invalid_setting": "Mend the setting, option or flag that the message names.",
    "arm_failed": "Look at `laserve_rm_failed_total` and at the arm's `error` in `GET /arms`.",
    "corrupt_log": "Restore a backup; `laserve state verify --to N` says how far the log is good.",
}
#: Codes that no answer of the service has, with where they show instead.
_ELSEWHERE = {
    "invalid_setting": "A start or a command ends with status 1.",
    "arm_failed": "The answer is 200 and names it in `degraded`.",
    "corrupt_log": "A start, or `laserve state verify`, ends with status 1.",
}
_FRAMEWORK = [
    "405",
    code("http_error"),
    code("invalid_request_error"),
    "The path has no such method.",
    "Use one of its methods.",
]


def page() -> str:
    classes = {error.code: error for error in _classes(LaserveError)}
    if missing := classes.keys() - _DO.keys():
        raise SystemExit(f"docs/_reference/errors.py says nothing of {', '.join(sorted(missing))}")
    answers = [
        [str(error.status), code(error.code), code(error.type), _when(error), _DO[error.code]]
        for error in classes.values()
        if error.code not in _ELSEWHERE
    ]
    elsewhere = [[code(name), _when(classes[name]), where, _DO[name]] for name, where in _ELSEWHERE.items()]
    return (
        INTRO
        + "## Answers\n\n"
        + table(["status", "code", "type", "when", "what to do"], sorted([*answers, _FRAMEWORK]))
        + "\n## Elsewhere\n\nThese errors are no answers to requests.\n\n"
        + table(["code", "when", "where it shows", "what to do"], elsewhere)
    )


def _classes(root: type[LaserveError]) -> Iterator[type[LaserveError]]:
    """The errors of laserve from the leaves up, so that of classes with one code the root is kept."""
    for error in root.__subclasses__():
        if error.__module__ == errors.__name__:
            yield from _classes(error)
    yield root


def _when(error: type[LaserveError]) -> str:
    if error is LaserveError:
        return "An unexpected error."
    first = (inspect.getdoc(error) or "").partition("\n\n")[0].partition(";")[0]
    return first.replace("``", "`").rstrip(".") + "."
