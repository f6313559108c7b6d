"""What the pieces of an answer add up to."""

from __future__ import annotations

from dataclasses import dataclass, field

from ygg.model import JsonDict, OutcomeKind, Piece, ToolCall, ToolDelta
from ygg.ports import CallFailed

CONTENT_MAX = 16_000_000  #: characters of an answer, thoughts and tool calls included


@dataclass(slots=True)
class Message:
    """The parts of an answer so far, each in the order it came."""

    size: int = 0
    content: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    logprobs: list[JsonDict] = field(default_factory=list)
    _tools: dict[int, list[ToolDelta]] = field(default_factory=dict)

    def add(self, piece: Piece) -> None:
        """Raises CallFailed when the answer has become too long."""
        self.size += piece.size
        if self.size > CONTENT_MAX:
            text = f"the answer is longer than {CONTENT_MAX:,} characters"
            raise CallFailed(OutcomeKind.ERROR, text)
        if piece.content:
            self.content.append(piece.content)
        if piece.thinking:
            self.thinking.append(piece.thinking)
        for delta in piece.tool_calls:
            self._tools.setdefault(delta.place, []).append(delta)
        if piece.logprobs:
            self.logprobs += piece.logprobs

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Put together from their deltas, in the order of their places."""
        return tuple(_joined(deltas) for _, deltas in sorted(self._tools.items()))


def _joined(deltas: list[ToolDelta]) -> ToolCall:
    return ToolCall(
        name=next((d.name for d in deltas if d.name), ""),
        arguments="".join(d.arguments for d in deltas),
        id=next((d.id for d in deltas if d.id), ""),
    )
