"""A tiny llama model that the tests write themselves: random weights, a fixed text.

Whatever the prompt, it says `abc..z abc..z ...` for ever; a prompt that ends in `!` (and nothing after
it) ends at once. Query, key, value, gate and up weights are random, so prefill and decoding really
compute and fill the KV cache; attention output and ffn_down are zero, so the residual stream stays the
token's embedding and the output row of next(t) is the embedding of t. Tokens are bytes: a prompt has 1
(BOS) + its UTF-8 bytes.

With `says` it has one token more, which holds that whole text: after a line's end it says this, and ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

NAME = "ygg-tiny"
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
BOS, EOS, BYTES = 1, 2, 3
TOKENS = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), "\u2581"]
KINDS = [2, 3, 3, *([6] * 256), 1]  # unknown, control, control, byte, normal
SPACE = len(TOKENS) - 1
LETTERS = range(ord("a"), ord("z"))


@dataclass(frozen=True)
class Size:
    """The shape. The default makes a 470 kB file that says 2,000 tokens a second."""

    embedding: int = 64
    heads: int = 4
    layers: int = 2
    feed_forward: int = 128
    context: int = 4096


#: 110 MB in f32: slow enough that a test can act while a text is being written.
SLOW = Size(embedding=512, heads=8, layers=8, feed_forward=1536)


#: Tools in a prompt and in an answer as the Hermes models write them; ends with a line's end.
TOOL_TEMPLATE = """\
{%- if tools %}system
<tools>{% for tool in tools %}
{{ tool | tojson }}{% endfor %}
</tools>
For each call of a function return a JSON object with its name and arguments within XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>
{% endif %}{% for m in messages %}{{ m['role'] }}
{% if m.content %}{{ m['content'] }}{% endif %}{% for tc in m.tool_calls or [] %}
<tool_call>
{"name": "{{ tc.function.name }}", "arguments": {{ tc.function.arguments | tojson }}}
</tool_call>{% endfor %}
{% endfor %}{% if add_generation_prompt %}assistant
{% endif %}"""


def write_model(
    path: Path, size: Size = Size(), seed: int = 0, says: str | None = None, *, embeds: bool = False
) -> Path:
    """Write the model to `path`; the same seed gives the same file. `embeds`: Ollama takes it for a model
    that turns texts into vectors."""
    draw = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(str(path), "llama")
    tokens = TOKENS if says is None else [*TOKENS, says]
    _describe(writer, size, tokens, TEMPLATE if says is None else TOOL_TEMPLATE)
    if embeds:
        writer.add_pooling_type(gguf.PoolingType.MEAN)
    embedding, output = _walk(draw, size.embedding, len(tokens))
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output.weight", output)
    writer.add_tensor("output_norm.weight", np.ones(size.embedding, np.float32))
    for layer in range(size.layers):
        _add_layer(writer, draw, size, f"blk.{layer}.")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _describe(writer: Any, size: Size, tokens: list[str], template: str) -> None:
    writer.add_name(NAME)
    writer.add_file_type(0)
    writer.add_vocab_size(len(tokens))
    writer.add_context_length(size.context)
    writer.add_embedding_length(size.embedding)
    writer.add_block_count(size.layers)
    writer.add_feed_forward_length(size.feed_forward)
    writer.add_head_count(size.heads)
    writer.add_head_count_kv(size.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(size.embedding // size.heads)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(KINDS + [1] * (len(tokens) - len(TOKENS)))
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(template)


def _walk(draw: np.random.Generator, width: int, count: int) -> tuple[Any, Any]:
    """Embedding and output rows of the walk a b .. z SPACE a b ..; every other byte leads to `a`. A token
    beyond the bytes follows a line's end, and is the last."""
    follows = {BYTES + c: BYTES + c + 1 for c in LETTERS}
    follows |= {BYTES + ord("z"): SPACE, BYTES + ord("!"): EOS}
    if count > len(TOKENS):
        follows |= {BYTES + ord("\n"): len(TOKENS), len(TOKENS): EOS}
    common = _unit(draw.standard_normal(width))  # the direction of all tokens without a rule
    embedding = _unit(draw.standard_normal((count, width)))
    output = np.zeros((count, width))
    for token in range(count):
        if token in follows:
            embedding[token] = _unit(embedding[token] - (embedding[token] @ common) * common)
            output[follows[token]] += 10 * embedding[token]
        else:
            embedding[token] = _unit(common + 0.3 * embedding[token])
    output[BYTES + ord("a")] = 10 * common
    return embedding.astype(np.float32), output.astype(np.float32)


def _unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def _add_layer(writer: Any, draw: np.random.Generator, size: Size, name: str) -> None:
    def noise(*shape: int) -> Any:
        return (draw.standard_normal(shape) * 0.02).astype(np.float32)

    width, inner = size.embedding, size.feed_forward
    writer.add_tensor(name + "attn_norm.weight", np.ones(width, np.float32))
    writer.add_tensor(name + "ffn_norm.weight", np.ones(width, np.float32))
    for part in ("attn_q", "attn_k", "attn_v"):
        writer.add_tensor(f"{name}{part}.weight", noise(width, width))
    writer.add_tensor(name + "attn_output.weight", np.zeros((width, width), np.float32))
    writer.add_tensor(name + "ffn_gate.weight", noise(inner, width))
    writer.add_tensor(name + "ffn_up.weight", noise(inner, width))
    writer.add_tensor(name + "ffn_down.weight", np.zeros((width, inner), np.float32))
