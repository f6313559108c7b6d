"""Planted bugs in the live view, and in what its lists are made of."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

VIEW = "tests/surface/test_view.py"
QUEUE = "tests/contract/test_queue.py"
LAYOUT = "tests/surface/test_layout.py"
LOGS = "tests/surface/test_cli_logs.py"
TITLES = "tests/intake/test_titles.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "a host in trouble does not say why",
        "ygg/view/hosts.py",
        "    hung = [r for t in troubles(host, canvas.snapshot.at_ms) for r in below(canvas, t, style)]",
        "    hung = list[Row]()",
        (VIEW + "::test_a_host_in_trouble_keeps_its_readings_and_its_reason_is_whole",),
    ),
    Mutant(
        "a reason ends with its row",
        "ygg/view/table.py",
        "    hung = wrapped(note, canvas.width - MARK - 2, NOTE_ROWS)",
        "    hung = wrapped(note, canvas.width - MARK - 2, 1)",
        (VIEW + "::test_no_reason_is_cut",),
    ),
    Mutant(
        "a note stands beside its line though it does not fit",
        "ygg/view/table.py",
        "width(note) <= self.canvas.width - self.used",
        "width(note) > 0",
        (VIEW + "::test_no_reason_is_cut",),
    ),
    Mutant(
        "hosts at rest hide those in trouble",
        "ygg/view/hosts.py",
        "    order = sorted(canvas.snapshot.hosts, key=_calmness)",
        "    order = list(canvas.snapshot.hosts)",
        (VIEW + "::test_hosts_that_do_not_fit_are_those_at_rest",),
    ),
    Mutant(
        "a server that is down is not named",
        "ygg/view/hosts.py",
        "    if word and len(host.endpoints) > len(bad):",
        "    if False:",
        (VIEW + "::test_a_server_that_is_down_beside_one_that_is_up_is_named",),
    ),
    Mutant(
        "heat has the colours of somebody else's thresholds",
        "ygg/view/hosts.py",
        "        return sum(degrees >= mark for mark in host.heat_c)",
        "        return sum(degrees >= mark for mark in (70.0, 80.0, 90.0))",
        (VIEW + "::test_heat_has_the_colours_of_the_thresholds_of_its_host",),
    ),
    Mutant(
        "each sparkline has its own scale",
        "ygg/view/hosts.py",
        "    steps, scale = canvas.glyphs.spark, _scale(canvas)",
        "    steps, scale = canvas.glyphs.spark, max(host.history, default=1.0) or 1.0",
        (VIEW + "::test_sparklines_of_all_hosts_have_one_scale",),
    ),
    Mutant(
        "a task that was put back is shown as failed",
        "ygg/view/tasks.py",
        "    again = end.state in (State.QUEUED, State.SCHEDULED)\n    glyph",
        "    again = False\n    glyph",
        (VIEW + "::test_what_was_put_back_is_not_shown_as_failed",),
    ),
    Mutant(
        "what waits for its time stands last",
        "ygg/view/frame.py",
        "(later[0].due_ms or 0) < starts",
        "starts < 0",
        (VIEW + "::test_what_waits_for_its_time_stands_where_it_will_have_come",),
    ),
    Mutant(
        "a filter knows no titles of waiting tasks",
        "ygg/view/frame.py",
        "if self._shown(w, w.title, w.reason.text)",
        "if self._shown(w, w.reason.text)",
        (VIEW + "::test_a_filter_finds_titles_of_all_tasks_and_counts_what_it_shows",),
    ),
    Mutant(
        "priorities have one colour",
        "ygg/view/tasks.py",
        "(priority.name[0], priority.name)",
        '(priority.name[0], "NORMAL")',
        (VIEW + "::test_priorities_have_a_letter_and_a_colour",),
    ),
    Mutant(
        "a panel takes rows that it does not need",
        "ygg/view/panels.py",
        "    found = [min(need, LEAST) for need in needs]",
        "    found = [LEAST for need in needs]",
        (VIEW + "::test_nothing_is_blank_while_something_is_cut",),
    ),
    Mutant(
        "wrapped text loses what is longer than a row",
        "ygg/view/text.py",
        '        left = left[len(head) :].lstrip(" ")',
        '        left = left[columns:].lstrip(" ")',
        (VIEW + "::test_wrapped_text_loses_nothing_but_spaces",),
    ),
    Mutant(
        "titles that nobody gave are kept whatever privacy says",
        "ygg/intake/tasks.py",
        '(first_words(request) if config.privacy.titles else "")',
        "first_words(request)",
        (TITLES,),
    ),
    Mutant(
        "the oldest message gives the title",
        "ygg/intake/titles.py",
        '    newest = request.get("messages", ())[::-1]',
        '    newest = request.get("messages", ())',
        (TITLES,),
    ),
    Mutant(
        "scheduled tasks are told by age",
        "ygg/stores/sqlite/reader.py",
        'ORDER BY due_ms, seq LIMIT ?"\n)\nAHEAD',
        'ORDER BY seq LIMIT ?"\n)\nAHEAD',
        (QUEUE + "::test_scheduled_tasks_are_told_in_the_order_they_are_due",),
    ),
    Mutant(
        "a trend counts from the first reading of all",
        "ygg/telling/working.py",
        "            while seen and seen[0].at < now.mono - TREND_S:",
        "            while seen and seen[0].at < now.mono - 900:",
        ("tests/telling/test_working.py",),
    ),
    Mutant(
        "the log does not know who has ended",
        "ygg/telling/naming.py",
        '    return (end.type, end.title) if end is not None else ("", "")',
        '    return ("", "")',
        ("tests/telling/test_naming.py",),
    ),
    Mutant(
        "a log is read from its beginning",
        "ygg/cli/logs.py",
        "    stream.seek(0, os.SEEK_END)\n    return map",
        "    stream.seek(0)\n    return map",
        (LOGS,),
    ),
    Mutant(
        "a log that was put aside is followed for ever",
        "ygg/cli/logs.py",
        "            if _replaced(path, stream):",
        "            if False:",
        (LOGS,),
    ),
    Mutant(
        "q stops the dispatcher without a question",
        "ygg/view/ui.py",
        "    if asked or not ui.asks or snapshot.draining:",
        "    if True:",
        (f"{VIEW}::test_q_asks_first_where_it_stops_the_dispatcher",),
    ),
    Mutant(
        "any key is taken for the second q",
        "ygg/view/ui.py",
        'replace(ui, note="", leaving=False)',
        'replace(ui, note="")',
        (f"{VIEW}::test_q_asks_first_where_it_stops_the_dispatcher",),
    ),
    Mutant(
        "a table is cut to the terminal",
        "ygg/cli/layout.py",
        "            yield from (HUNG + part",
        "            yield from (HUNG + part[:9]",
        (LAYOUT,),
    ),
    Mutant(
        "a row that is too wide is no block",
        "ygg/cli/layout.py",
        "    if room and ahead > room + GAP:",
        "    if False:",
        (LAYOUT,),
    ),
    Mutant(
        "a model is to be pulled whatever is wrong with it",
        "ygg/plain.py",
        'lacks = bool(model) and model in message and "not found" in message',
        "lacks = bool(model)",
        ("tests/test_plain_words.py",),
    ),
    Mutant(
        "errors of documents are those of the library",
        "ygg/intake/checking.py",
        'message = worded(problem) if problem["type"] != "extra_forbidden" else ""',
        'message = str(problem["msg"]) if problem["type"] != "extra_forbidden" else ""',
        ("tests/intake/test_wording.py", "tests/intake/test_documents.py"),
    ),
    Mutant(
        "a whole long value is shown",
        "ygg/intake/wording.py",
        "    if isinstance(value, str) and len(value) <= SHORT:",
        "    if isinstance(value, str):",
        ("tests/intake/test_wording.py",),
    ),
    Mutant(
        "a task of this minute may have been deleted",
        "ygg/api/pruned.py",
        "0 < made_ms <= now_ms - least_s * 1000",
        "0 < made_ms <= now_ms",
        ("tests/surface/test_pruned.py",),
    ),
    Mutant(
        "a simulated card is warm at once",
        "ygg/sim/machines.py",
        "near = math.exp(-max(0.0, now - self._at) / inertia) if self._at else 0.0",
        "near = 0.0",
        ("tests/test_scene.py::test_a_card_warms_up_slowly_and_cools_down_faster",),
    ),
    Mutant(
        "the host keys of the demo's machines are not known",
        "ygg/sim/machines.py",
        "[127.0.0.1]:{port} {key}",
        "[127.0.0.2]:{port} {key}",
        ("tests/test_scene.py::test_it_is_read_over_ssh_with_its_host_key_checked",),
    ),
]
