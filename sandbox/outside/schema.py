"""Makes an instance of a JSON schema from known facts; fields without a fact get a minimal valid value."""

from collections.abc import Mapping

Schema = Mapping[str, object]

_UNKNOWN = object()
_TYPES: Mapping[object, type | tuple[type, ...]] = {
    "object": Mapping,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
_SAMPLES: Mapping[object, str] = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "127.0.0.1",
}


def fit(schema: Schema, facts: Mapping[str, object]) -> object:
    """Return an instance of `schema`, filled from `facts`.

    A property gets the fact of the same name. A nested object without a fact of its name is filled from the
    same flat `facts`. `pattern` is ignored.
    """
    return _fit(schema, facts, schema)


def _fit(schema: Schema, fact: object, root: Schema) -> object:
    schema = _choose(_resolve(schema, root), fact, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        options = _list(schema["enum"])
        return fact if fact in options else options[0]
    match schema.get("type"):
        case "object":
            return _object(schema, fact, root)
        case "array":
            facts = _list(fact)
            missing = _count(schema, "minItems") - len(facts)
            items = _mapping(schema.get("items"))
            return [_fit(items, item, root) for item in [*facts, *[_UNKNOWN] * missing]]
        case "string":
            return _string(schema, fact)
        case "integer" | "number" as kind:
            return _within(schema, fact, whole=kind == "integer")
        case "boolean":
            return fact is True
    return None


def _resolve(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        found: object = root
        for part in str(schema["$ref"]).split("/")[1:]:
            found = _mapping(found)[part]
        schema = _mapping(found)
    return schema


def _choose(schema: Schema, fact: object, root: Schema) -> Schema:
    """Return the first branch whose type fits the fact, else the null branch, else the first branch."""
    types = schema.get("type")
    branches = [_mapping(b) for union in ("anyOf", "oneOf", "allOf") for b in _list(schema.get(union))]
    branches += [{**schema, "type": kind} for kind in _list(types)]
    if not branches:
        return schema
    branches = [_choose(_resolve(branch, root), fact, root) for branch in branches]
    taking = [b for b in branches if isinstance(fact, _TYPES.get(b.get("type"), ()))]
    return (taking or [b for b in branches if b.get("type") == "null"] or branches)[0]


def _object(schema: Schema, fact: object, root: Schema) -> dict[str, object]:
    facts = _mapping(fact)
    fitted = {}
    for name, wanted in _mapping(schema.get("properties")).items():
        # Only a plain object inherits the facts: an optional one may be recursive, without end.
        inherited = facts if _resolve(_mapping(wanted), root).get("type") == "object" else _UNKNOWN
        fitted[name] = _fit(_mapping(wanted), facts.get(name, inherited), root)
    return fitted


def _string(schema: Schema, fact: object) -> str:
    text = fact if isinstance(fact, str) else _SAMPLES.get(schema.get("format"), "")
    return text.ljust(_count(schema, "minLength"), "-")[: _count(schema, "maxLength") or None]


def _within(schema: Schema, fact: object, *, whole: bool) -> float:
    number = fact if isinstance(fact, (int, float)) else 0
    number = max([number, *_bounds(schema, "minimum", "exclusiveMinimum", 1)])
    number = min([number, *_bounds(schema, "maximum", "exclusiveMaximum", -1)])
    return round(number) if whole else number


def _bounds(schema: Schema, inclusive: str, exclusive: str, step: int) -> list[float]:
    bounds = (schema.get(inclusive), schema.get(exclusive))
    return [
        bound + by for bound, by in zip(bounds, (0, step), strict=True) if isinstance(bound, (int, float))
    ]


def _count(schema: Schema, name: str) -> int:
    count = schema.get(name)
    return count if isinstance(count, int) else 0


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> Schema:
    return value if isinstance(value, Mapping) else {}
