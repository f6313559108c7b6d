"""Planted bugs in what makes many small requests cheap."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

READING = "tests/stores/test_reading.py"
CONNECTIONS = "tests/surface/test_connections.py"
AHEAD = "tests/contract/test_queue.py::test_what_is_ahead_is_counted_from_either_end"

MUTANTS: list[Mutant] = [
    Mutant(
        "reads: an answer waits until its thread has nothing more to read",
        "ygg/stores/sqlite/reading.py",
        "            if not self._woken:\n",
        "            if not self._woken and not self._waiting:\n",
        (f"{READING}::test_a_long_read_keeps_no_other_answer_back",),
    ),
    Mutant(
        "reads: each answer wakes the loop",
        "ygg/stores/sqlite/reading.py",
        "                self._woken = True\n",
        "",
        (f"{READING}::test_many_answers_wake_the_loop_once",),
    ),
    Mutant(
        "reads: an error ends the thread that reads",
        "ygg/stores/sqlite/reading.py",
        "            except BaseException as error:",
        "            except OSError as error:",
        (f"{READING}::test_everybody_has_his_own_answer_or_error",),
    ),
    Mutant(
        "reads: one who left is told",
        "ygg/stores/sqlite/syncing.py",
        "        if self.future.done():\n            return\n",
        "",
        (f"{READING}::test_one_who_left_is_not_told",),
    ),
    Mutant(
        "what is behind is counted too little",
        "ygg/stores/sqlite/reader.py",
        "if behind <= FEW:",
        "if True:",
        (AHEAD,),
    ),
    Mutant(
        "a task counts itself among those ahead",
        "ygg/stores/sqlite/reader.py",
        "seq >= ?4",
        "seq > ?4",
        (AHEAD,),
    ),
    Mutant(
        "a worse rank counts as ahead",
        "ygg/stores/sqlite/reader.py",
        '_RANGE.format("rank > ?3"',
        '_RANGE.format("rank > ?3 + 1"',
        (AHEAD,),
    ),
    Mutant(
        "a head and its body leave one by one",
        "ygg/api/connections.py",
        "            self._loop.call_soon(self._flush)\n        self._held += data\n",
        "            self._loop.call_soon(self._flush)\n        self._held += data\n        self._flush()\n",
        (f"{CONNECTIONS}::test_what_is_written_in_one_turn_leaves_together_and_at_its_end",),
    ),
    Mutant(
        "any number of bytes waits for the end of a turn",
        "ygg/api/connections.py",
        "        if len(self._held) > PIECE:\n            self._flush()\n",
        "",
        (f"{CONNECTIONS}::test_no_more_than_a_piece_waits_for_the_end_of_a_turn",),
    ),
    Mutant(
        "the last words before a connection ends are lost",
        "ygg/api/connections.py",
        "        self._flush()\n        self._transport.close()\n",
        "        self._transport.close()\n",
        (f"{CONNECTIONS}::test_what_was_written_before_the_end_leaves_and_nothing_after_it",),
    ),
    Mutant(
        "a path that fits two verbs goes to the first, whatever its method",
        "ygg/api/routes.py",
        "            if method in found:\n                return found[method], target\n",
        "            if method in found:\n                return found[method], target\n            break\n",
        ("tests/surface/test_verbs.py::test_the_routes_are_the_table",),
    ),
    Mutant(
        "a brief answer is a long one",
        "ygg/api/submits.py",
        "_brief if bulk.brief else bodies.task_body",
        "bodies.task_body",
        (
            "tests/surface/test_api_tasks.py::test_a_brief_answer_tells_the_id_the_state_and_what_is_special",
        ),
    ),
    Mutant(
        "where tasks may run is remembered for all who ask",
        "ygg/intake/matching.py",
        "asked.gpu, asked.content_type, caller, does)",
        'asked.gpu, asked.content_type, "local", does)',
        ("tests/surface/test_tokens.py",),
    ),
    Mutant(
        "of many heads the first lane alone is looked at",
        "ygg/core/placement/lanes.py",
        "        _refresh(board, board.lanes[lane], priority)\n\n\ndef _put",
        "        _refresh(board, board.lanes[lane], priority)\n        break\n\n\ndef _put",
        (
            "tests/core/placement/test_lanes.py::test_heads_of_several_lanes_that_come_together_are_all_looked_at",
        ),
    ),
]
