"""LiteLLM's proxy in front of the sandbox's stand-in, and of another server on this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.own_servers.own import KEY, OwnServer
from sandbox.server import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class LiteLlm(OwnServer):
    """The proxy, with one alias for each way in which the service behind it can refuse.

    *stand_in* is the base URL of the sandbox's model. *behind* adds the alias ``tiny``: another server. The
    alias ``cut`` is the same with eight tokens for an answer.
    """

    name = "litellm"
    packages = ("litellm[proxy]",)
    model = "sandbox"
    ready_path = "/health/readiness"

    def __init__(self, folder: Path, *options: str, stand_in: str, behind: OwnServer | None = None) -> None:
        super().__init__(folder, *options)
        self._stand_in, self._behind = stand_in, behind

    def command(self) -> Sequence[str]:
        """Write the proxy's configuration."""
        configuration = self.folder / "proxy.json"
        settings = {"general_settings": {"master_key": KEY}, "model_list": self._aliases()}
        configuration.write_text(json.dumps(settings))
        proxy = str(self.environment.folder / "bin" / "litellm")
        return [proxy, "--host", "127.0.0.1", "--port", str(self.port), "--config", str(configuration)]

    def variables(self) -> Mapping[str, str]:
        """Use the price list that the package ships."""
        return {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}

    def _aliases(self) -> list[dict[str, object]]:
        model, there, nowhere = (
            "openai/sandbox-extractive-1",
            self._stand_in,
            f"http://127.0.0.1:{free_port()}/v1",
        )
        found = [
            _alias("sandbox", model, there, "sk-stand-in"),
            _alias("no-credit", model, there, "sk-no-quota"),
            _alias("wrong-key", model, there, "sk-invalid"),
            _alias("wrong-path", model, there.replace("/v1", "/v2"), "sk-stand-in"),
            _alias("away", model, nowhere, "sk-stand-in"),
        ]
        if self._behind is None:
            return found
        behind = (f"openai/{self._behind.model}", self._behind.url, self._behind.key)
        return [*found, _alias("tiny", *behind), _alias("cut", *behind, max_tokens=8)]


def _alias(name: str, model: str, url: str, key: str, **more: object) -> dict[str, object]:
    return {"model_name": name, "litellm_params": {"model": model, "api_base": url, "api_key": key, **more}}
