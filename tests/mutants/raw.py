"""Planted bugs where bytes come in that are no HTTP, too slow, too many, or dear."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

RAW, CONNECTIONS, STALLS = (
    "tests/cases/test_raw_http.py",
    "tests/surface/test_connections.py",
    "tests/shell/test_stalls.py",
)
COMING, MALFORMED, HELD = "ygg/api/connections.py", "ygg/api/malformed.py", "ygg/api/held.py"
TWO_LENGTHS = RAW + "::test_a_body_of_two_lengths_hides_no_second_request"
REFUSED = RAW + "::test_what_is_no_request_is_refused_in_our_shape_and_ends_the_connection"
ROOM = CONNECTIONS + "::test_large_bodies_have_bounded_room_together"

MUTANTS: list[Mutant] = [
    Mutant(
        "raw: a body may tell its length in two ways",
        MALFORMED,
        "    if len(told) > 1:",
        "    if len(told) > 2:",
        (TWO_LENGTHS,),
    ),
    Mutant(
        "raw: the connection goes on behind a body of two lengths",
        MALFORMED,
        '            answer.headers["Connection"] = "close"  # what comes behind may be a part of it\n',
        "",
        (TWO_LENGTHS,),
    ),
    Mutant(
        "raw: any version is read as HTTP/1",
        MALFORMED,
        '    if not version.startswith("1."):',
        "    if not version:",
        (REFUSED,),
    ),
    Mutant(
        "raw: a head that does not end is any other error",
        MALFORMED,
        "error.error_status_hint == TOO_LONG",
        "error.error_status_hint == 0",
        (REFUSED,),
    ),
    Mutant(
        "raw: a read of any size is parsed in one turn",
        COMING,
        "PIECE = 8192",
        "PIECE = 1 << 20",
        (RAW + "::test_what_is_odd_but_sound_is_answered",),
    ),
    Mutant(
        "raw: more is read while the last read is not parsed",
        COMING,
        "        if self.unparsed:",
        "        if False:",
        (CONNECTIONS + "::test_reading_goes_on_once_all_that_came_is_parsed",),
    ),
    Mutant(
        "raw: reading goes on while most of the last read is not parsed",
        COMING,
        "        self.transport.pause_reading()\n",
        "",
        (CONNECTIONS + "::test_no_more_is_read_than_can_be_parsed",),
    ),
    Mutant(
        "raw: who works on a request is not told that it turned bad",
        COMING,
        "            self.cycle.disconnected = True\n",
        "",
        (REFUSED,),
    ),
    Mutant(
        "raw: a HEAD that turned bad is refused with a body",
        COMING,
        "refusal(bare=asks_head)",
        "refusal(bare=False)",
        (RAW + "::test_a_head_that_turns_bad_is_refused_without_a_body",),
    ),
    Mutant(
        "raw: a refusal is written into an answer that has begun",
        COMING,
        "        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):",
        "        if True:",
        (RAW + "::test_a_bad_chunk_while_the_answer_is_on_its_way_ends_the_connection",),
    ),
    Mutant(
        "raw: the rest of a body may drip for ever after its answer",
        COMING,
        "return theirs is h11.IDLE or (theirs is h11.SEND_BODY and ours is h11.DONE)",
        "return theirs is h11.IDLE",
        (CONNECTIONS + "::test_what_is_left_of_a_body_after_its_answer_is_not_waited_for_long",),
    ),
    Mutant(
        "raw: a body may drip for ever",
        "ygg/api/app.py",
        "began + BODY_S + size / BODY_RATE - time.monotonic()",
        "BODY_S",
        (CONNECTIONS + "::test_a_body_that_drips_is_an_error",),
    ),
    Mutant(
        "raw: a slow body ends however steadily it comes",
        "ygg/api/app.py",
        "began + BODY_S + size / BODY_RATE - time.monotonic()",
        "began + BODY_S - time.monotonic()",
        (CONNECTIONS + "::test_a_slow_body_that_comes_steadily_is_taken",),
    ),
    Mutant(
        "raw: large bodies have room without end",
        HELD,
        "            if self._held > self._most and mine > SMALL:",
        "            if mine > self._most:",
        (ROOM,),
    ),
    Mutant(
        "raw: small bodies wait for large ones",
        HELD,
        "            if self._held > self._most and mine > SMALL:",
        "            if self._held + SMALL > self._most:",
        (ROOM,),
    ),
    Mutant(
        "raw: room that a body had is gone for ever",
        HELD,
        "            self._held -= mine",
        "            pass",
        (ROOM,),
    ),
    Mutant(
        "raw: two thousand connections are accepted in one turn",
        "ygg/api/server.py",
        "AT_ONCE = 64",
        "AT_ONCE = 2048",
        (CONNECTIONS + "::test_a_crowd_is_let_in_by_and_by",),
    ),
    Mutant(
        "raw: the collector looks through all that was there at the start",
        "ygg/running/memory.py",
        "    gc.freeze()\n",
        "",
        (RAW + "::test_the_collector_spares_what_was_there_at_the_start",),
    ),
    Mutant(
        "raw: who sends no HTTP fills the log",
        "ygg/api/server.py",
        "    theirs.setLevel(logging.ERROR)",
        "    theirs.setLevel(logging.WARNING)",
        (REFUSED,),
    ),
    Mutant(
        "raw: the time of a turn is that on the wall",
        "ygg/running/stalls.py",
        "        return time.clock_gettime(self._clock)",
        "        return time.monotonic()",
        (STALLS + "::test_the_processor_time_of_a_turn_is_told_and_no_other_time",),
    ),
]
