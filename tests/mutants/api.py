"""Planted bugs in the API, its server and its client."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

ASYNC = "tests/surface/test_api_async.py"
TASKS = "tests/surface/test_api_tasks.py"
INPUT = "tests/surface/test_api_input.py"
DOCUMENTS = "tests/intake/test_documents.py"
READING = "tests/intake/test_reading_and_times.py"
SERVER = "tests/surface/test_api_server.py"
CLIENT = "tests/surface/test_client.py"
VERBS = "tests/surface/test_verbs.py"
DOCS = "tests/surface/test_api_docs.py"
DESKS = "tests/surface/test_client_desks.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "a retryable submit is sent twice",
        "ygg/client.py",
        '            if method != "GET":\n',
        '            if method == "NEVER":\n',
        (CLIENT + "::test_a_submit_that_was_cut_is_never_sent_twice",),
    ),
    Mutant(
        "a socket that may not be opened counts as no daemon",
        "ygg/client.py",
        "    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):",
        "    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError, PermissionError):",
        (CLIENT + "::test_a_socket_that_may_not_be_opened_says_how_to_join",),
    ),
    Mutant(
        "an error in a later part loses the acknowledged ones",
        "ygg/desk.py",
        "            if not answers:\n                raise",
        "            raise",
        (CLIENT + "::test_an_error_in_a_later_part_keeps_what_was_acknowledged",),
    ),
    Mutant(
        "expired tasks look queued to polling clients",
        "ygg/api/bodies.py",
        '    State.EXPIRED: "failed",',
        '    State.EXPIRED: "queued",',
        (ASYNC,),
    ),
    Mutant(
        "a bound is told as an exact position",
        "ygg/api/place.py",
        '"position_is_bound": ahead >= EXACT or turns > 0',
        '"position_is_bound": turns > 0',
        (ASYNC + "::test_a_position_beyond_the_exact_range_is_a_bound",),
    ),
    Mutant(
        "atomic submits store the good documents",
        "ygg/api/submits.py",
        "if bulk.atomic and len(good) < len(checked):",
        "if False:",
        (TASKS + "::test_an_atomic_submit_with_one_bad_document_stores_nothing",),
    ),
    Mutant(
        "capacity is forgotten",
        "ygg/api/async_.py",
        "Capacity(config.policy.capacity, single=True)",
        "None",
        (ASYNC + "::test_a_full_queue_answers_when_to_come_back",),
    ),
    Mutant(
        "NUL bytes pass",
        "ygg/intake/checking.py",
        '    if "\\0" in text:',
        "    if False:",
        (DOCUMENTS,),
    ),
    Mutant(
        "NaN in a body passes",
        "ygg/intake/parsing.py",
        "parse_constant=_no_number, ",
        "",
        (INPUT + "::test_bodies_that_cannot_be_read_are_refused",),
    ),
    Mutant(
        "a number beyond all numbers is sent on",
        "ygg/intake/parsing.py",
        "document(raw, _finite, most=DOCUMENT_VALUES)",
        "document(raw, most=DOCUMENT_VALUES)",
        ("tests/surface/test_cli_submit.py::test_odd_lines_are_told_and_nothing_crashes",),
    ),
    Mutant(
        "a deadline may lie before the start",
        "ygg/intake/times.py",
        "starts_ms is not None and at <= starts_ms",
        "starts_ms is not None and at < starts_ms",
        (READING,),
    ),
    Mutant(
        "bodies are read without bound",
        "ygg/api/app.py",
        "        if size > most:",
        "        if False:",
        (INPUT + "::test_bodies_over_the_limit_are_refused_while_they_arrive",),
    ),
    Mutant(
        "a live daemon's socket is taken over",
        "ygg/api/server.py",
        "        except ConnectionRefusedError:\n            _unlink(path)\n            return\n",
        "        except ConnectionRefusedError:\n            pass\n        _unlink(path)\n        return\n",
        (SERVER + "::test_a_socket_somebody_answers_on_is_left_alone",),
    ),
    Mutant(
        "any file in the socket's place is removed",
        "ygg/api/server.py",
        "    if not path.is_socket():",
        "    if False:",
        (SERVER + "::test_a_file_that_is_no_socket_is_never_removed",),
    ),
    Mutant(
        "followers that leave are kept",
        "ygg/api/tasks.py",
        "            async with aclosing(self._control.follow(task_id)) as items:  # type: ignore[type-var]\n                async for item in items:\n                    yield _event(item)",
        "            async for item in self._control.follow(task_id):\n                yield _event(item)",
        (TASKS + "::test_a_follower_that_leaves_is_forgotten",),
    ),
    Mutant(
        "ids of one millisecond may meet",
        "ygg/intake/ids.py",
        "next(self._bits))",
        'int.from_bytes(os.urandom(4), "big"))',
        (DOCUMENTS + "::test_ids_of_one_millisecond_never_meet_and_differ_in_their_ends",),
    ),
    Mutant(
        "a bug's text reaches the caller",
        "ygg/api/app.py",
        "            if not started:\n                await failed(_BUG)(scope, receive, send)",
        "            raise",
        (TASKS + "::test_a_bug_is_logged_and_answered_without_its_text",),
    ),
    Mutant(
        "tasks are retried by state a page at most",
        "ygg/api/tasks.py",
        "        while found := await self._control.archive.find(which):\n            ids += [t.id for t in found]\n            which = replace(which, before_seq=found[-1].seq)",
        "        found = await self._control.archive.find(which)\n        ids += [t.id for t in found]",
        (TASKS + "::test_retry_by_state_takes_every_such_task_oldest_first",),
    ),
    Mutant(
        "a paused queue is estimated",
        "ygg/telling/pacing.py",
        "if self._stands or not hosts:",
        "if not hosts:",
        (ASYNC + "::test_nothing_is_estimated_while_the_queue_does_not_move",),
    ),
    Mutant(
        "offline writes hold the lock",
        "ygg/api/offline.py",
        "            await archive.close()\n",
        "            pass\n",
        (DESKS + "::test_writing_needs_the_lock_and_reading_does_not",),
    ),
    Mutant(
        "a verb of desks is missing from the table",
        "ygg/desk.py",
        "if isinstance(row, Verb)),",
        'if isinstance(row, Verb) and row.name != "why"),',
        (VERBS,),
    ),
    Mutant(
        "a route has the wrong method",
        "ygg/desk.py",
        '"POST /v1/tasks/retry"',
        '"PUT /v1/tasks/retry"',
        (DOCS,),
    ),
    Mutant(
        "a row names another verb's handler",
        "ygg/desk.py",
        '"overseeing.resume")',
        '"overseeing.pause")',
        (f"{DESKS}::test_a_pause_and_a_drained_host_are_told_by_queue_and_hosts",),
    ),
    Mutant(
        "a row forgets what its handler takes",
        "ygg/desk.py",
        '"tasks.wait", "query")',
        '"tasks.wait")',
        (VERBS,),
    ),
    Mutant(
        "the offline desk loses the query",
        "ygg/api/offline.py",
        '"query": sent',
        '"query": {}',
        (VERBS,),
    ),
    Mutant(
        "the offline desk loses whose verb it is about",
        "ygg/api/offline.py",
        "asked.verb, asked.target, ",
        "asked.verb, None, ",
        (VERBS,),
    ),
    Mutant(
        "of several states in a query one counts",
        "ygg/api/app.py",
        'LISTS = frozenset({"state"})',
        "LISTS = frozenset()",
        (f"{VERBS}::test_a_request_is_the_same_over_the_socket_and_at_the_database",),
    ),
    Mutant(
        "a full disk says nothing of when to come back",
        "ygg/api/app.py",
        "LATER = (429, 503, 507)",
        "LATER = (429, 503)",
        (INPUT + "::test_who_is_to_come_back_is_told_when",),
    ),
    Mutant(
        "who is to come back is told to come too early",
        "ygg/api/app.py",
        "max(1, math.ceil(again_s))",
        "max(1, math.floor(again_s))",
        (INPUT + "::test_who_is_to_come_back_is_told_when",),
    ),
    Mutant(
        "a poll that waits ends in a traceback when the daemon stops",
        "ygg/running/loop.py",
        "        self.waiting.close()\n",
        "",
        (
            "tests/shell/test_loop.py::test_who_waits_for_what_will_not_end_is_told_so_when_the_drain_is_over",
        ),
    ),
]
