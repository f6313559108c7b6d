"""Chapter A: answers of model servers."""

from __future__ import annotations

from pathlib import Path

from tests.cases.house import config, house
from tests.cases.scripted import Reply, scripted

CALLS = """\
{"message":{"content":"","tool_calls":[{"function":{"name":"get_weather","arguments":{"city":"Oslo"}}}]},"done":false}
{"message":{"content":""},"done":true,"done_reason":"stop"}
"""
TOOLS = b"""{"prompt": "weather?", "options": {"tools": [{"type": "function", "function": {"name": "get_weather"}}]}}"""


def test_a_tool_call_is_an_answer(tmp_path: Path) -> None:
    with scripted(Reply(CALLS)) as server, house(tmp_path, config({"surtr": server})) as home:
        task = home.submit("--jsonl", "-", stdin=TOOLS)
        assert home.end(task)["state"] == "completed"
        (call,) = home.result(task)["result"]["tool_calls"]
        assert call["function"]["name"] == "get_weather"
        assert "Oslo" in call["function"]["arguments"]
