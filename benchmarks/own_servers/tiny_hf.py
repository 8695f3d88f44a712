"""``python -m benchmarks.own_servers.tiny_hf FOLDER``: writes the tiny model for vLLM.

Run it with a Python that has ``safetensors`` and ``tokenizers``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from benchmarks.own_servers.tiny_weights import CONTEXT, EPSILON, HEADS, INNER, LAYERS, WIDTH, random_weights

_SPECIAL: Final = ("<unk>", "<s>", "</s>")
_TEMPLATE: Final = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
#: The names in GGUF and in a checkpoint.
_NAMES: Final = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def main() -> int:
    """Write the model to the folder that the command names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    tokens = [*_SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    _tokenizer(tokens).save(str(folder / "tokenizer.json"))
    weights = {_checkpoint_name(name): values for name, values in random_weights(tokens).items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for name, content in _descriptions(len(tokens)).items():
        (folder / name).write_text(json.dumps(content))
    return 0


def _tokenizer(tokens: list[str]) -> Tokenizer:
    """Return a tokenizer with one token for each byte."""
    tokenizer = Tokenizer(BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in _SPECIAL])
    return tokenizer


def _checkpoint_name(name: str) -> str:
    if not name.startswith("blk."):
        return f"{_NAMES[name]}.weight"
    _, layer, part = name.split(".")
    return f"model.layers.{layer}.{_NAMES[part]}.weight"


def _descriptions(tokens: int) -> dict[str, dict[str, object]]:
    ends: dict[str, object] = {"bos_token_id": 1, "eos_token_id": 2}
    shape: dict[str, object] = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": EPSILON,
        "vocab_size": tokens,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        **ends,
    }
    named = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    tokenizer: dict[str, object] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": _TEMPLATE,
        **named,
    }
    return {"config.json": shape, "generation_config.json": ends, "tokenizer_config.json": tokenizer}


if __name__ == "__main__":
    sys.exit(main())
