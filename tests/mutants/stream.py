"""Planted bugs in the stream of one task and in how it goes on."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

STREAM, PURE = "tests/surface/test_api_stream.py", "tests/surface/test_resuming.py"
RESUMING, STREAMS = "ygg/api/resuming.py", "ygg/running/streams.py"

WHOLE = PURE + "::test_cut_anywhere_and_told_again_in_other_pieces_the_whole_comes_once"
ANOTHER = PURE + "::test_another_attempt_is_told_whole_and_makes_the_earlier_void"
LOST = PURE + "::test_what_is_not_kept_is_told_as_lost_and_nothing_else_is"
FOREIGN = PURE + "::test_what_is_no_id_of_this_task_begins_as_without"
TOLD = STREAM + "::test_a_task_is_told_from_its_state_to_its_result"
PLACE = STREAM + "::test_the_place_is_told_while_it_is_queued_and_silence_is_broken_by_comments"
CHANGE = STREAM + "::test_a_change_of_state_is_told_when_it_happens_also_between_attempts"
GAP = STREAM + "::test_what_is_not_kept_of_a_long_answer_is_told_to_who_has_not_had_it"
HEADER = STREAM + "::test_the_header_counts_where_a_query_says_otherwise"
BACK = STREAM + "::test_whoever_was_cut_off_after_any_event_gets_the_rest_and_nothing_twice"
AWAY = STREAM + "::test_who_has_had_the_result_is_told_to_stay_away_until_the_task_is_put_back"

MUTANTS: list[Mutant] = [
    Mutant(
        "stream: a client that comes back is told everything again",
        RESUMING,
        "        mark = mark_of(last, task_id)\n",
        "        mark = None\n",
        (WHOLE, BACK),
    ),
    Mutant(
        "stream: a piece that was had in part is told whole",
        RESUMING,
        "        piece.content[had.content :],",
        "        piece.content if len(piece.content) > had.content else '',",
        (WHOLE,),
    ),
    Mutant(
        "stream: thoughts are not counted",
        RESUMING,
        "        piece.thinking[had.thinking :],",
        "        piece.thinking,",
        (WHOLE,),
    ),
    Mutant(
        "stream: what says nothing counts when it is told again",
        "ygg/model/answers.py",
        "        if not piece.token:\n            return self\n        content, thinking",
        "        content, thinking",
        (PURE + "::test_what_says_nothing_is_told_nobody_and_counts_for_nothing",),
    ),
    Mutant(
        "stream: the attempt that was had is announced again",
        RESUMING,
        "        if attempt == self._at.attempt:\n            return None\n",
        "",
        (WHOLE,),
    ),
    Mutant(
        "stream: of another attempt as much is left out as was had of the earlier",
        RESUMING,
        "attempt=attempt, size=Extent())",
        "attempt=attempt)",
        (ANOTHER,),
    ),
    Mutant(
        "stream: a gap is told to who has had what is in it",
        RESUMING,
        "                lost = _less(self._seen, self._at.size)\n",
        "                lost = size\n",
        (LOST, GAP),
    ),
    Mutant(
        "stream: a gap does not count",
        RESUMING,
        "                self._seen = _sum(self._seen, size)\n",
        "",
        (LOST, GAP),
    ),
    Mutant(
        "stream: nobody counts what is not kept",
        STREAMS,
        "            stream.lost = stream.lost.plus(piece)",
        "            pass",
        (GAP,),
    ),
    Mutant(
        "stream: an id of another task is believed",
        RESUMING,
        '    head, start = f"{task_id[-4:]}.", text or ""',
        '    head, start = (text or "")[:5], text or ""',
        (FOREIGN,),
    ),
    Mutant(
        "stream: an id of what never was is believed",
        RESUMING,
        "        if mark is None or not _possible(mark, rows):",
        "        if mark is None:",
        (FOREIGN,),
    ),
    Mutant(
        "stream: states are told from the first on to everybody",
        RESUMING,
        "            mark = Mark(states=max(0, len(rows) - 1))",
        "            mark = Mark()",
        (PURE + "::test_states_are_told_from_the_newest_on_and_after_an_id_all_that_came_since",),
    ),
    Mutant(
        "stream: a note is told as a change",
        RESUMING,
        " if row.before is not row.after]",
        "]",
        (PURE + "::test_notes_are_no_changes",),
    ),
    Mutant(
        "stream: the end is told before what was said",
        RESUMING,
        "    return rows[:-1] if over else rows",
        "    return rows",
        (STREAM + "::test_a_slow_client_is_told_of_the_end_after_all_that_was_said",),
    ),
    Mutant(
        "stream: who has had the result may come back for ever",
        "ygg/api/stream.py",
        "return None if client.over(rows) else",
        "return",
        (AWAY,),
    ),
    Mutant(
        "stream: who has had a result never hears of another",
        RESUMING,
        "        return self._at.end and self._at.states == len(rows)",
        "        return self._at.end",
        (AWAY,),
    ),
    Mutant(
        "stream: the query counts before the header",
        "ygg/api/stream.py",
        "last or asked)",
        "asked or last)",
        (HEADER,),
    ),
    Mutant(
        "stream: the id of the query is not looked at",
        "ygg/api/stream.py",
        "last or asked)",
        "last)",
        (BACK,),
    ),
    Mutant(
        "stream: events have no ids",
        "ygg/api/sse.py",
        'f"id: {event.id}\\n" if event.id else ""',
        '""',
        (TOLD,),
    ),
    Mutant(
        "stream: proxies may keep what is told",
        "ygg/api/app.py",
        "headers=sse.HEADERS, ",
        "",
        (TOLD,),
    ),
    Mutant(
        "stream: silence is not broken",
        "ygg/running/waiting.py",
        "await reader.take(quiet_s)",
        "await reader.take()",
        (PLACE,),
    ),
    Mutant(
        "stream: the place in the queue is not told",
        "ygg/api/stream.py",
        "        if events and rows[-1].after is State.QUEUED:",
        "        if False:",
        (PLACE,),
    ),
    Mutant(
        "stream: changes between attempts are told late",
        "ygg/running/loop.py",
        "        self.streams.moved(moved(event))\n",
        "",
        (CHANGE,),
    ),
    Mutant(
        "stream: a task that is due is told late",
        "ygg/running/waiting.py",
        "            return (head.id for head in heads)",
        "            return ()",
        (STREAM + "::test_a_task_that_is_due_is_told_as_queued_at_once_though_it_cannot_start",),
    ),
    Mutant(
        "stream: followers of another kind are told of moves",
        STREAMS,
        "                if reader.watching:\n                    reader.put(Moved())",
        "                reader.put(Moved())",
        (
            "tests/surface/test_api_tasks.py::test_following_streams_the_attempt_its_pieces_and_the_end",
        ),
    ),
    Mutant(
        "stream: reading the result here is not noted",
        "ygg/api/stream.py",
        "self._results.result(task_id, {})",
        "self._results._tasks.result(task_id)",
        (STREAM + "::test_reading_the_result_here_starts_the_shorter_retention_too",),
    ),
    Mutant(
        "stream: an error has no name",
        "ygg/api/app.py",
        'sse.Event("error", told) if verb.named else {"event": "error", **told}',
        '{"event": "error", **told}',
        (STREAM + "::test_a_revoked_token_ends_the_stream_with_an_error_of_that_name",),
    ),
    Mutant(
        "stream: who leaves is still followed for",
        "ygg/api/stream.py",
        "        async with aclosing(self._control.watch(task_id, QUIET_S)) as items:  # type: ignore[type-var]\n            async for item in items:\n                for told in await self._told(task_id, item, client):\n                    yield told",
        "        async for item in self._control.watch(task_id, QUIET_S):\n            for told in await self._told(task_id, item, client):\n                yield told",
        (STREAM + "::test_who_leaves_is_forgotten",),
    ),
]
