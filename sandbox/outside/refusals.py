"""Why the model service refuses a request before it looks at the question, and what it lists."""

from collections.abc import Sequence
from http import HTTPStatus

from sandbox.outside.controls import Settings
from sandbox.outside.openai_wire import Reply, refused

_LISTED_AT = 1_767_225_600  # 2026-01-01


def outage(settings: Settings) -> Reply | None:
    """Return what everybody gets while the service is down."""
    match settings.llm_down:
        case "":
            return None
        case "refuse_503":
            return refused(HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable", "server_error")
        case way:
            # The status is for the ledger: nothing is sent.
            way = {"close": "drop"}.get(way, way)
            return Reply(status=HTTPStatus.SERVICE_UNAVAILABLE, way=way)


def wrong_key(authorization: str | None, settings: Settings) -> Reply | None:
    """Refuse a missing key, `sk-invalid`, and every key but the one of the settings."""
    key = (authorization or "").removeprefix("Bearer ").strip()
    if not key:
        return refused(401, "You didn't provide an API key.", "invalid_request_error")
    if key == "sk-invalid" or settings.llm_key not in ("", key):
        shown = f"{key[:6]}***{key[-3:]}" if len(key) > 9 else "***"  # noqa: PLR2004  # as OpenAI does
        message = f"Incorrect API key provided: {shown}."
        return refused(401, message, "invalid_request_error", "invalid_api_key")
    return None


def no_credit(authorization: str | None, settings: Settings) -> Reply | None:
    """Refuse questions while the account is empty; the one of the key `sk-no-quota` always is."""
    if settings.llm_credit and authorization != "Bearer sk-no-quota":
        return None
    message = "You exceeded your current quota, please check your plan and billing details."
    return refused(429, message, "insufficient_quota", "insufficient_quota")


def unknown_model(model: str, settings: Settings) -> Reply | None:
    """Refuse a model that is not one of the settings' models, if they name any."""
    if not settings.llm_models or model in settings.llm_models:
        return None
    message = f"The model `{model}` does not exist or you do not have access to it."
    return refused(404, message, "invalid_request_error", "model_not_found")


def no_such_path(method: str, path: str) -> Reply:
    """Refuse a path of the API that does not exist."""
    return refused(404, f"Invalid URL ({method} {path})", "invalid_request_error")


def models(names: Sequence[str]) -> Reply:
    """List the models of these names."""
    return Reply(status=HTTPStatus.OK, body={"object": "list", "data": [_listed(name) for name in names]})


def one_model(name: str, names: Sequence[str]) -> Reply:
    """Show one of the models."""
    if name in names:
        return Reply(status=HTTPStatus.OK, body=_listed(name))
    message = f"The model '{name}' does not exist"
    return refused(404, message, "invalid_request_error", "model_not_found", param="model")


def _listed(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": _LISTED_AT, "owned_by": "sandbox"}
