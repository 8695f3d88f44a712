"""The weights of a llama model of random numbers: a real server can load it, and nothing is downloaded.

The answers are noise, but they end soon: dimension 0 of every embedding is 1, no layer writes to it, and the
output reads it. So each token has a constant bias, and quotes, braces and the end of the text come often.
Dimension 1 is 1 for a quote only, and the output reads it against a quote: few texts are blank, because the
project asks a second time for an answer whose text is blank, and a third time never.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The heads are 32 wide: some servers have kernels for no narrower ones.
WIDTH, HEADS, LAYERS, INNER = 128, 4, 2, 256
CONTEXT: Final = 32_768
EPSILON: Final = 1e-5
_SEED: Final = 7
#: Added to the logit of a token; of letters and digits 0, of the others less.
_LIKELY: Final[Mapping[str, float]] = {
    '"': 6.5,
    "}": 3.0,
    "]": 6.0,
    "</s>": 3.0,
    ",": 1.0,
}
_OTHERS: Final = -4.0
#: Added to the logit of a quote where the token before it is one.
_TWO_QUOTES: Final = -8.0
#: Dimensions 0 and 1, which no layer writes to.
_OWN: Final = 2


def random_weights(tokens: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the weights by the names that GGUF gives them, for a vocabulary."""
    random = np.random.default_rng(_SEED)

    def noise(rows: int, columns: int, *, keeps_bias: bool = False) -> np.ndarray:
        weights = random.normal(0.0, 0.05, (rows, columns)).astype(np.float32)
        if keeps_bias:
            weights[:_OWN, :] = 0.0
        return weights

    ones = np.ones(WIDTH, dtype=np.float32)
    embedding, output = noise(len(tokens), WIDTH), noise(len(tokens), WIDTH)
    quotes = np.array([token == '"' for token in tokens], dtype=np.float32)
    embedding[:, 0], embedding[:, 1] = 1.0, quotes
    output[:, 0], output[:, 1] = _biases(tokens), _as_weight(_TWO_QUOTES * quotes)
    found = {"token_embd": embedding, "output_norm": ones, "output": output}
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        found |= {f"{block}.attn_norm": ones, f"{block}.ffn_norm": ones}
        found |= {f"{block}.attn_{which}": noise(WIDTH, WIDTH) for which in "qkv"}
        found |= {f"{block}.ffn_{which}": noise(INNER, WIDTH) for which in ("gate", "up")}
        found[f"{block}.attn_output"] = noise(WIDTH, WIDTH, keeps_bias=True)
        found[f"{block}.ffn_down"] = noise(WIDTH, INNER, keeps_bias=True)
    return found


def _biases(tokens: Sequence[str]) -> np.ndarray:
    wanted = [_LIKELY.get(token, 0.0 if len(token) == 1 and token.isalnum() else _OTHERS) for token in tokens]
    return _as_weight(np.array(wanted, dtype=np.float32))


def _as_weight(bias: np.ndarray) -> np.ndarray:
    """Return the weight. The norm makes a dimension of 1 about half as large as the root of the width."""
    return bias / (np.sqrt(WIDTH) / 2)
