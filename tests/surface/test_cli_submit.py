"""`ygg submit`: what is taken, from where, and what is said when it is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.surface.cli import HOSTS, Cli
from tests.surface.world import Api, config, served
from ygg.model import Piece, ToolDelta


def thousand(folder: Path) -> Path:
    """A JSONL file of 1,000 lines, three of them bad: broken JSON, an unknown key, a bad priority."""
    bad = {
        17: '{"prompt": "x"',
        400: '{"prompt": "x", "promt": 1}',
        999: '{"prompt": "x", "priority": 9}',
    }
    lines = [
        bad.get(n, json.dumps({"prompt": f"p{n}", "not_before": "1h"})) for n in range(1, 1001)
    ]
    path = folder / "tasks.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_an_id_is_all_that_stdout_gets(either: Cli) -> None:
    ran = either.ok("submit", "Explain WAL")
    assert len(ran.lines) == 1
    assert either.ok("show", ran.lines[0], "--json").json["id"] == ran.lines[0]


def test_without_a_daemon_the_way_to_start_it_is_told(offline: Cli) -> None:
    assert "ygg loop --async" in offline.ok("submit", "x").err


def test_every_option_reaches_the_task(cli: Cli) -> None:
    task = cli.submit(
        "hello", "-t", "chat", "-p", "high", "--title", "T", "--label", "a", "--label", "b",
        "--model", "m", "--host", "fenrir", "--system", "be brief", "--max-tokens", "7",
        "--temperature", "0.5", "--timeout", "10m", "--not-before", "1h", "--deadline", "2h",
        "--idempotency-key", "k",
    )  # fmt: skip
    shown = cli.ok("show", task, "--json").json
    assert (shown["type"], shown["priority"], shown["title"]) == ("chat", 1, "T")
    assert (shown["labels"], shown["state"], shown["timeout_s"]) == (["a", "b"], "scheduled", 600)
    assert shown["deadline_at"] > shown["due_at"]


@pytest.mark.parametrize(
    ("flag", "operation", "request_"),
    [
        ("--embed", "embed", {"input": "Explain WAL"}),
        ("--complete", "complete", {"prompt": "Explain WAL"}),
        ("--generate", "generate", {"prompt": "Explain WAL"}),
    ],
)
def test_the_operation_can_be_named(
    either: Cli, flag: str, operation: str, request_: dict[str, str]
) -> None:
    shown = either.ok("show", either.submit(flag, "Explain WAL"), "--json").json
    assert (shown["operation"], shown["request"]) == (operation, request_)


def test_every_operation_comes_from_a_file_of_lines(either: Cli) -> None:
    docs = '{"input": ["a", "b"]}\n{"prompt": "c", "operation": "complete"}\n'
    ran = either.ok("submit", "--jsonl", "-", "--json", stdin=docs)
    assert [json.loads(line)["operation"] for line in ran.lines] == ["embed", "complete"]


@pytest.mark.parametrize("args", [("submit",), ("submit", "-"), ("submit", "--file", "-")])
def test_a_prompt_is_read_from_a_pipe(either: Cli, args: tuple[str, ...]) -> None:
    assert either.ok(*args, stdin="Grüße\n").lines


def test_nothing_waits_for_a_terminal(offline: Cli) -> None:
    ran = offline("submit")
    assert (ran.code, ran.out) == (2, "")
    assert "there is no prompt" in ran.err


def test_a_prompt_is_read_from_a_file(either: Cli) -> None:
    (either.folder / "prompt.txt").write_text("Explain WAL")
    either.ok("submit", "--file", str(either.folder / "prompt.txt"))


@pytest.mark.parametrize(
    ("args", "stdin", "code", "says"),
    [
        (("submit", "x", "--file", "f"), None, 2, "not both"),
        (("submit", "--file", "nowhere"), None, 3, "nowhere cannot be read"),
        (("submit", "--jsonl", "nowhere"), None, 3, "nowhere cannot be read"),
        (("submit", "x", "--jsonl", "f"), None, 2, "--jsonl takes no prompt"),
        (("submit", "x", "--embed", "--complete"), None, 2, "--complete and --embed exclude each other"),
        (("submit", "x", "--embed", "--follow"), None, 2, "a vector is not streamed"),
        (("submit", "x", "--embed", "--system", "y"), None, 2, "operation embed takes no system"),
        (("submit", "x", "--embed", "--max-tokens", "9"), None, 2, "embed takes no max_tokens"),
        (("submit", "x", "--complete", "--system", "y"), None, 2, "complete takes no system"),
        (("submit", "--embed", " "), None, 2, "input: expected text"),
        (("submit", "--jsonl", "f", "--embed"), None, 2, "--jsonl takes no --embed: each line names its operation"),
        (("submit", "--jsonl", "f", "-p", "0"), None, 2, "takes no --priority: each line names its priority"),
        (("submit", "--jsonl", "f", "--label", "x"), None, 2, "takes no --label: each line names its labels"),
        (("submit", "--jsonl", "f", "--batch", "--cache"), None, 2, "--jsonl takes no --cache"),
        (("submit", "--jsonl", "f", "--wait"), None, 2, "--jsonl takes no --wait"),
        (("submit", "--jsonl", "f", "--follow"), None, 2, "--jsonl takes no --follow"),
        (("submit", "-"), b"\xff\xfe", 2, "stdin is not UTF-8 text"),
        (("submit", ""), None, 2, "prompt"),
        (("submit", "x\0y"), None, 2, "NUL"),
        (("submit", "x", "-p", "9"), None, 2, "priority"),
        (("submit", "x", "-p", "urgent"), None, 2, "CRITICAL"),
        (("submit", "x", "--timeout", "soon"), None, 2, "timeout"),
        (("submit", "x", "--not-before", "yesterdayish"), None, 2, "not_before"),
        (("submit", "x", "--deadline", "2001-01-01T00:00"), None, 2, "deadline"),
        (("submit", "x", "--temperature", "nan"), None, 2, "JSON"),
        (("submit", "x", "--temperature", "9"), None, 2, "temperature"),
        (("submit", "x", "--max-tokens", "-3"), None, 2, "max_tokens"),
        (("submit", "x", "--host", "fenrr"), None, 2, "did you mean fenrir"),
        (("submit", "x", "--max-tokens", "many"), None, 2, "--max-tokens"),
        (("submit", "x", "--no-such-option"), None, 2, "--no-such-option"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_and_named(
    either: Cli, args: tuple[str, ...], stdin: bytes | None, code: int, says: str
) -> None:
    ran = either(*args, stdin=stdin)
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert "Traceback" not in ran.err


def test_a_prompt_of_ten_megabytes_is_a_prompt(either: Cli) -> None:
    task = either.ok("submit", "-", stdin="x" * 10_000_000).out.strip()
    assert either.ok("show", task, "--json").code == 0


def test_three_bad_lines_in_a_thousand_are_told_by_number_and_the_rest_stored(either: Cli) -> None:
    path = thousand(either.folder)
    ran = either("submit", "--jsonl", str(path))
    assert ran.code == 1
    assert [line.split(": ")[0] for line in ran.err.splitlines() if str(path) in line] == [
        f"{path}:{n}" for n in (17, 400, 999)
    ]
    assert "did you mean prompt" in ran.err
    assert "3 bad lines; the others were stored" in ran.err
    assert len(ran.lines) == 997


def test_atomic_stores_all_of_a_file_or_nothing(either: Cli) -> None:
    path = either.folder / "tasks.jsonl"
    good = [json.dumps({"prompt": f"p{n}", "not_before": "1h"}) for n in range(1000)]
    path.write_text("\n".join([*good, "{"]))
    ran = either("submit", "--jsonl", str(path), "--atomic")
    assert (ran.code, ran.out) == (1, "")
    assert "nothing was stored" in ran.err
    assert '"id"' not in either("list", "--json").out
    path.write_text("\n".join(good))
    assert len(either.ok("submit", "--jsonl", str(path), "--atomic").lines) == 1000


def test_an_atomic_file_with_one_bad_value_names_that_line_alone(either: Cli) -> None:
    docs = '{"prompt": "a"}\n\n{"prompt": "b", "priority": 9}\n{"prompt": "c"}\n'
    ran = either("submit", "--jsonl", "-", "--atomic", stdin=docs)
    assert ran.code == 1
    (told,) = (line for line in ran.err.splitlines() if line.startswith("-:"))
    assert told.startswith("-:3: priority")
    assert "1 bad line;" in ran.err
    assert ran.out == ""


def test_a_file_that_finds_no_room_says_which_lines_are_stored(offline: Cli) -> None:
    offline.config.write_text(HOSTS + "policies: {capacity: 1, batch_capacity: 1100}\n")
    docs = [json.dumps({"prompt": f"p{n}", "not_before": "1h"}) for n in range(1500)]
    path = offline.folder / "tasks.jsonl"
    path.write_text("\n".join(docs))
    ran = offline("submit", "--jsonl", str(path))
    assert (ran.code, len(ran.lines)) == (69, 1000)
    assert "1000 tasks wait: with these 500 they would be more than 1100" in ran.err
    assert f"{path} is stored to line 1000" in ran.err
    assert "tail -n +1001" in ran.err
    alone = offline("submit", "--jsonl", str(path), "--atomic")
    assert (alone.code, alone.out) == (69, "")
    assert "they would be more than 1100" in alone.err
    assert "is stored" not in alone.err
    offline.ok("submit", "one more, beyond the room of single submits over HTTP")


def test_bulk_answers_are_lines_of_json_when_asked(either: Cli) -> None:
    ran = either.ok("submit", "--jsonl", "-", "--json", stdin='{"prompt": "a"}\n{"prompt": "b"}\n')
    assert [json.loads(line)["existing"] for line in ran.lines] == [False, False]


def test_odd_lines_are_told_and_nothing_crashes(either: Cli) -> None:
    lines = [b"\xff", b"NaN", b"[]", b"7", b'"x"', b"null", b"[" * 5000, b'{"prompt": "\\ud800"}',
             b'{"prompt": "x", "temperature": 1e999}', b'{"prompt": "x\\u0000"}']  # fmt: skip
    ran = either("submit", "--jsonl", "-", stdin=b"\n".join(lines))
    assert ran.code == 1
    told = [line.split(":")[1] for line in ran.err.splitlines() if line.startswith("-:")]
    assert told == [str(n) for n in range(1, len(lines) + 1)]
    assert "Traceback" not in ran.err


def test_a_key_used_for_another_task_is_a_conflict(either: Cli) -> None:
    first = either.submit("x", "--idempotency-key", "k")
    assert either.submit("x", "--idempotency-key", "k") == first
    ran = either("submit", "y", "--idempotency-key", "k")
    assert ran.code == 1
    assert "idempotency key 'k' was used for" in ran.err


def test_waiting_prints_the_answer(cli: Cli, home: Api) -> None:
    assert cli.ok("submit", "hello", "--wait").out.strip().endswith(":1")


def test_following_prints_the_pieces(cli: Cli, home: Api) -> None:
    out = cli.ok("submit", "hello", "--follow").out
    assert ":0 " in out
    assert ":1 " in out


CALLS = [
    Piece("Let me look."),
    Piece(tool_calls=(ToolDelta(0, "weather", id="call_1"), ToolDelta(1, "clock"))),
    Piece(tool_calls=(ToolDelta(0, arguments='{"place": '), ToolDelta(0, arguments='"Oslo"}'))),
    Piece(tool_calls=(ToolDelta(1, arguments="{}"),)),
]


def test_the_tools_that_a_model_calls_are_printed_after_its_text(cli: Cli, home: Api) -> None:
    home.surtr.says = CALLS
    ran = cli.ok("submit", "hello", "--wait")
    assert ran.lines == [
        "Let me look.", 'tool call: weather {"place": "Oslo"}', "tool call: clock {}",
    ]  # fmt: skip
    (task,) = cli.ok("list", "--json").json["tasks"]
    message = cli.ok("result", task["id"], "--json").json["result"]
    assert message["tool_calls"] == [
        {"id": "call_1", "type": "function",
         "function": {"name": "weather", "arguments": '{"place": "Oslo"}'}},
        {"id": None, "type": "function", "function": {"name": "clock", "arguments": "{}"}},
    ]  # fmt: skip


def test_an_answer_of_tool_calls_alone_is_a_good_one(cli: Cli, home: Api) -> None:
    home.surtr.says = CALLS[1:]
    ran = cli.ok("submit", "hello", "--wait")
    assert ran.lines == ['tool call: weather {"place": "Oslo"}', "tool call: clock {}"]


def test_following_prints_tool_calls_as_they_come(cli: Cli, home: Api) -> None:
    home.surtr.says = [*CALLS[:1], *CALLS[2:3]]
    home.surtr.says[1:1] = [Piece(tool_calls=(ToolDelta(0, "weather"),))]
    ran = cli.ok("submit", "hello", "--follow")
    assert ran.lines == ["Let me look.", 'tool call: weather {"place": "Oslo"}']


def test_vectors_are_printed_in_short_and_kept_whole(cli: Cli, home: Api) -> None:
    vectors = ((0.1, 0.2, 1 / 3, 4.0, 5.0, 6.0, 7.0), (1.0, 2.0))
    home.surtr.says, home.surtr.embeds = [Piece()], vectors
    ran = cli.ok("submit", "hello", "--embed", "--wait")
    assert ran.lines == [
        "vector 1: 7 numbers: 0.1, 0.2, 0.3333, 4, 5, 6, …",
        "vector 2: 2 numbers: 1, 2",
    ]
    (task,) = cli.ok("list", "--json").json["tasks"]
    target = cli.folder / "vectors"
    cli.ok("result", task["id"], "-o", str(target))
    assert [tuple(json.loads(line)) for line in target.read_text().splitlines()] == list(vectors)
    message = cli.ok("result", task["id"], "--json").json["result"]
    assert message["embeddings"] == [list(v) for v in vectors]


def test_waiting_ends_when_time_is_up_and_the_task_stays(cli: Cli, home: Api) -> None:
    home.surtr.latency_s = 60
    ran = cli("submit", "hello", "--wait", "--wait-timeout", "0.2")
    assert ran.code == 75
    assert "ygg why" in ran.err
    (task,) = cli.ok("list", "--json").json["tasks"]
    assert task["state"] in ("queued", "processing")


def test_a_document_in_json_tells_whether_it_is_new(either: Cli) -> None:
    body = either.ok("submit", "x", "--json", "--idempotency-key", "k").json
    assert body["existing"] is False
    assert either.ok("submit", "x", "--json", "--idempotency-key", "k").json["existing"] is True


def test_an_identical_task_that_waits_is_shared_where_it_is_asked_for(offline: Cli) -> None:
    first = offline.submit("--coalesce", "Explain WAL")
    assert offline.submit("Explain WAL") != first
    ran = offline.ok("submit", "Explain WAL", "--coalesce", "--json", tty=True)
    assert (ran.json["id"], ran.json["existing"], ran.json["coalesced"]) == (first, True, True)
    assert "an identical task waits or runs" in ran.err
    piped = offline.ok("submit", "Explain WAL", "--coalesce")
    assert "an identical task waits or runs" in piped.err, (
        "nobody looks for a hint without a terminal"
    )
    assert "no daemon is running" in piped.err
    assert "stored in" not in ran.err + piped.err
    assert "stored in database" in offline.ok("submit", "Explain WAL").err


def test_an_identical_answer_will_do_where_it_is_asked_for(offline: Cli) -> None:
    with served(offline.socket, settings=config(cache_ttl="5m")) as home:
        answer = offline.ok("submit", "--cache", "hello", "--wait").out
        assert offline.ok("submit", "hello", "--cache", "--wait").out == answer
        assert len(home.surtr.arrivals) == 1
        ran = offline.ok("submit", "hello", "--cache", "--json", tty=True)
        assert (ran.json["state"], ran.json["cached"]) == ("completed", True)
        assert f"answered from the cache: ygg result {ran.json['id']}" in ran.err
        assert offline.ok("submit", "hello", "--json").json["cached"] is False
