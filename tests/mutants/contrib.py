"""Planted bugs in what lies in contrib/, and in what its tests see."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

RULES = "contrib/prometheus/ygg.rules.yml"
TEST = "tests/contrib/test_rules.py"
LOG = "tests/contrib/test_log.py"
BOARD, PANELS = "contrib/grafana/ygg.json", "tests/contrib/test_dashboard.py"
UNITS = f"{TEST}::test_the_unit_tests_beside_the_rules_pass"
MORNING = f"{TEST}::test_a_simulated_morning_fires_what_its_trouble_is_for_and_nothing_else"

MUTANTS = [
    Mutant(
        "contrib: an alert asks for a metric that there is not",
        RULES,
        "expr: ygg_store_error == 1",
        "expr: ygg_store_errors == 1",
        (f"{TEST}::test_the_alerts_ask_for_what_a_page_has",),
    ),
    Mutant(
        "contrib: a host that a person took out is an alarm",
        RULES,
        "ygg_host_up == 0 unless on (instance, host) ygg_host_drained == 1",
        "ygg_host_up == 0",
        (UNITS, MORNING),
    ),
    Mutant(
        "contrib: a restart is an alarm",
        RULES,
        'expr: up{job="ygg"} == 0\n        for: 2m',
        'expr: up{job="ygg"} == 0\n        for: 0m',
        (UNITS, MORNING),
    ),
    Mutant(
        "contrib: a disk of 4 TB is nearly full with 40 GB",
        RULES,
        "clamp_max(0.1 * ygg_store_size_bytes, 10e9)",
        "0.1 * ygg_store_size_bytes",
        (UNITS,),
    ),
    Mutant(
        "contrib: nothing moves where short tasks end between two scrapes",
        RULES,
        '          unless on (instance) sum by (instance) (increase(ygg_tasks_total{outcome="completed"}[3m])) > 0\n',
        "",
        (UNITS, MORNING),
    ),
    Mutant(
        "contrib: the readings of a host that rests are lost",
        RULES,
        "sum by (instance, host) (ygg_tasks_running) > 0\n",
        "sum by (instance, host) (ygg_tasks_running) >= 0\n",
        (UNITS,),
    ),
    Mutant(
        "contrib: an alert names a command that there is not",
        RULES,
        "ygg list --queue names the first, ygg why ID",
        "ygg list --queue names the first, ygg explain ID",
        (f"{TEST}::test_an_alert_waits_and_says_where_and_what_to_do",),
    ),
    Mutant(
        "contrib: a panel asks for a metric that there is not",
        BOARD,
        "max(ygg_store_error{",
        "max(ygg_store_errors{",
        (f"{PANELS}::test_the_panels_ask_for_what_a_page_has",),
    ),
    Mutant(
        "contrib: a panel chooses by a label that there is not",
        BOARD,
        "rate(ygg_cache_requests_total{",
        'rate(ygg_cache_requests_total{host=~\\"$host\\",',
        (f"{PANELS}::test_the_panels_ask_for_what_a_page_has",),
    ),
    Mutant(
        "contrib: a panel divides what does not fit together",
        BOARD,
        " / on (instance, host) (ygg_host_slots",
        " / (ygg_host_slots",
        ("tests/contrib/test_prometheus.py::test_every_panel_gets_an_answer",),
    ),
    Mutant(
        "contrib: a dashboard asks for its source when it is imported",
        BOARD,
        ' "uid": "ygg",\n',
        ' "uid": "ygg",\n "__inputs": [],\n',
        (f"{PANELS}::test_it_provisions_without_a_question",),
    ),
    Mutant(
        "contrib: a traceback is cut off its line",
        "contrib/log/vector/file.yaml",
        "r'(?s)^(?P<time>",
        "r'^(?P<time>",
        (f"{LOG}::test_a_line_of_the_file_is_read_whole",),
    ),
    Mutant(
        "contrib: the log's lines change and nobody reads them any more",
        "ygg/logs.py",
        'f"{self._time(record)} {record.levelname:<7} {_clean(record)}"',
        'f"{self._time(record)} [{record.levelname}] {_clean(record)}"',
        (f"{LOG}::test_a_line_of_the_file_is_read_whole",),
    ),
    Mutant(
        "contrib: a level has another name in the file than in the journal",
        "contrib/log/vector/file.yaml",
        'level = "err"',
        'level = "error"',
        (f"{LOG}::test_the_levels_of_the_file_are_called_as_the_journal_calls_them",),
    ),
    Mutant(
        "contrib: a label is made of a field that there is not",
        "contrib/log/vector/loki.yaml",
        "{{ level }}",
        "{{ severity }}",
        (f"{LOG}::test_a_sink_takes_fields_that_there_are_and_secrets_from_outside",),
    ),
]
