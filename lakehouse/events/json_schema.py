"""An event's contract as a JSON Schema, for its senders: what they are asked to send. More is taken: docs/events.md.

Source: JSON Schema, draft 2020-12.
"""

import inspect
import json
from typing import Any

from lakehouse.contract.domain import Domain
from lakehouse.errors import UsageError
from lakehouse.events.contract import EventContract, Field, contract_of
from lakehouse.events.fields import Kind

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES: dict[Kind, dict[str, Any]] = {
    Kind.TEXT: {"type": ["string", "integer"]},
    Kind.WHOLE: {"type": "integer"},
    Kind.LONG: {"type": "integer"},
    Kind.REAL: {"type": "number"},
    Kind.MONEY: {"type": "number"},
    Kind.FLAG: {"type": "integer"},
    Kind.TIME: {"type": "string", "format": "date-time"},
    Kind.TIME_OR_DAY: {"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]},
}


def text(domain: Domain, event: str = "") -> str:
    """The schema of a domain's event, its first one without a name, as JSON. Raises UsageError for an unknown one."""
    known = {one.__name__: one for one in domain.events}
    found = known.get(event) if event else next(iter(known.values()), None)
    if found is None:
        fix = (
            f"It has {', '.join(known)}." if known else f"Name its classes as `events` in jobs/{domain.name}/schema.py."
        )
        raise UsageError(f"{domain.name} has no event{event and f' {event}'}.", fix)
    return json.dumps(json_schema(contract_of(found)), indent=2)


def json_schema(contract: EventContract) -> dict[str, Any]:
    """The schema of the JSON object that an event is."""
    fields = contract.fields.values()
    return {
        "$schema": _DIALECT,
        "title": contract.event.__name__,
        "description": inspect.getdoc(contract.event),
        "type": "object",
        "properties": {field.sent: _property(field) for field in fields},
        "required": [field.sent for field in fields if field.required],
    }


def _property(field: Field) -> dict[str, Any]:
    found = dict(_TYPES[field.kind])
    if field.letters:
        found["pattern"] = f"^{field.letters.pattern}$"
    bounds = {"minimum": field.low, "maximum": field.high, "description": field.about or None}
    return found | {name: value for name, value in bounds.items() if value is not None}
