"""One token per byte, three marks, and the chat template.

Token n is byte n for n < 256, so any text in any script works and nothing is ever "unknown". The marks are ChatML's.
Both file formats spell a byte as a printable character (GPT-2's table), which `spelled` reproduces.
"""

from __future__ import annotations

import re
from typing import Final

END_OF_TEXT: Final = 256
START: Final = 257
END: Final = 258  # ends every turn, so it is also the token that ends an answer
SPARE: Final = 259
MARKS: Final = {"<|endoftext|>": END_OF_TEXT, "<|im_start|>": START, "<|im_end|>": END, "<|spare|>": SPARE}
_MARK: Final = re.compile("(" + "|".join(map(re.escape, MARKS)) + ")")

# Tools are listed by name and parameter names only: schemas are long, and here every byte is a token.
# Long texts are cut, for agents open with 30 to 60 KB of system prompt and tools: the model has nothing to say about
# those, and MLX on a CPU would take minutes to read them. It sees the head of the system prompt, the tail of the
# last six messages (the question comes last) and sixteen tools. /v1/completions cuts nothing.
# A list of parts (OpenAI's other way to write content) is flattened because llama_cpp.server hands it on as it came;
# arguments are a string there and an object in mlx_lm.server. mlx_lm finds its tool parser by the words
# "<tool_call>" and "tool_call.name" in this text; tokenizer_config.json names it as well.
CHAT_TEMPLATE: Final = """\
{%- if tools -%}
<|im_start|>tools
{% for tool in tools[:16] -%}
{%- set f = tool.function if tool.function is defined else tool -%}
{{- f.name }}(
{%- if f.parameters is defined and f.parameters is mapping and f.parameters.properties is defined -%}
{{- f.parameters.properties | join(', ') -}}
{%- endif -%}
){{ '\\n' }}
{%- endfor -%}
<|im_end|>{{ '\\n' }}
{%- endif -%}
{%- for message in messages -%}
{%- set role = 'system' if message.role == 'developer' else message.role -%}
{%- if role == 'system' or loop.revindex <= 6 -%}
{%- set text = message.content or '' -%}
{%- if text is not string -%}{%- set text = text | map(attribute='text', default='') | join('') -%}{%- endif -%}
<|im_start|>{{ role }}{{ '\\n' }}
{{- text[:200] if role == 'system' else text[-400:] -}}
{%- if message.tool_calls is defined and message.tool_calls -%}
{%- for tool_call in message.tool_calls -%}
{%- if tool_call.function is defined -%}{%- set tool_call = tool_call.function -%}{%- endif -%}
<tool_call>{{ '\\n' }}{"name": "{{ tool_call.name }}", "arguments": {{ '' -}}
{{- tool_call.arguments if tool_call.arguments is string else tool_call.arguments | tojson -}}
}{{ '\\n' }}</tool_call>
{%- endfor -%}
{%- endif -%}
<|im_end|>{{ '\\n' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant{{ '\\n' }}
{%- endif -%}
"""


def encode(text: str) -> list[int]:
    """Text with marks → token ids."""
    ids: list[int] = []
    for piece in _MARK.split(text):
        if piece in MARKS:
            ids.append(MARKS[piece])
        else:
            ids.extend(piece.encode())
    return ids


def decode(ids: list[int]) -> str:
    """Token ids → text; marks are dropped, broken UTF-8 is replaced."""
    return bytes(i for i in ids if i < END_OF_TEXT).decode(errors="replace")


def spelled() -> list[str]:
    """The spelling of every token in tokenizer.json and in GGUF, by id.

    GPT-2's table: printable Latin-1 bytes stand for themselves, the others, in order, for U+0100 and up.
    """
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [b for b in range(256) if b not in plain]
    table = [chr(b) if b in plain else chr(0x100 + others.index(b)) for b in range(256)]
    return table + list(MARKS)
