"""``python -m benchmarks.own_servers.tiny_gguf FILE``: writes the tiny model for llama.cpp.

Run it with a Python that has ``gguf``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import gguf

from benchmarks.own_servers.tiny_weights import CONTEXT, EPSILON, HEADS, INNER, LAYERS, WIDTH, random_weights

#: One token for each sign, so that the numbers of tokens in an error are easy to check.
_SIGNS: Final = [chr(code) for code in range(0x21, 0x7F)] + ["\u2581", "\n"]
_TEMPLATE: Final = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)


def main() -> int:
    """Write the model to the file that the command names."""
    tokens, kinds = _vocabulary()
    writer = gguf.GGUFWriter(Path(sys.argv[1]), "llama")
    _add_sizes(writer)
    _add_tokenizer(writer, tokens, kinds)
    for name, weights in random_weights(tokens).items():
        writer.add_tensor(f"{name}.weight", weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return 0


def _vocabulary() -> tuple[list[str], list[int]]:
    """Return the tokens and their kinds: as SentencePiece has them, with one token for each byte."""
    of = gguf.TokenType
    control = [("<unk>", of.UNKNOWN), ("<s>", of.CONTROL), ("</s>", of.CONTROL)]
    bytes_ = [(f"<0x{byte:02X}>", of.BYTE) for byte in range(256)]
    signs = [(sign, of.NORMAL) for sign in _SIGNS]
    tokens, kinds = zip(*control, *bytes_, *signs, strict=True)
    return list(tokens), [int(kind) for kind in kinds]


def _add_sizes(writer: gguf.GGUFWriter) -> None:
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(EPSILON)


def _add_tokenizer(writer: gguf.GGUFWriter, tokens: list[str], kinds: list[int]) -> None:
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(_TEMPLATE)


if __name__ == "__main__":
    sys.exit(main())
