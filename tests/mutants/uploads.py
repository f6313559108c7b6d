"""Planted bugs in files that come with tasks."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

FACE = "tests/surface/test_uploads.py"
DISK = "tests/test_uploads.py"
WAY, FORMS, PLACE = "ygg/api/processing.py", "ygg/api/forms.py", "ygg/uploads.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "uploads: a file has no limit",
        FORMS,
        "        if self._came > self._most:",
        "        if False:",
        (FACE + "::test_a_file_has_a_limit_and_not_a_byte_more",),
    ),
    Mutant(
        "uploads: a field has no limit",
        FORMS,
        "            if len(self._text) > TEXT_MAX:",
        "            if False:",
        (FACE + "::test_a_field_has_a_limit",),
    ),
    Mutant(
        "uploads: half a form is one",
        FORMS,
        "        if not self._ended:",
        "        if False:",
        (FACE + "::test_what_is_no_form_is_refused",),
    ),
    Mutant(
        "uploads: a body of any type is read as a form",
        FORMS,
        '    if kind.decode("latin-1").lower() != FORM:',
        "    if False:",
        (FACE + "::test_what_is_no_form_is_refused",),
    ),
    Mutant(
        "uploads: forms are taken everywhere",
        "ygg/api/border.py",
        '                if scope["path"] not in UPLOADS:',
        "                if False:",
        (FACE + "::test_over_tcp_a_form_is_taken_here_alone_and_from_no_page",),
    ),
    Mutant(
        "uploads: forms are held to be JSON",
        "ygg/api/border.py",
        '                if scope["path"] not in UPLOADS:',
        "                if True:",
        (FACE + "::test_over_tcp_a_form_is_taken_here_alone_and_from_no_page",),
    ),
    Mutant(
        "uploads: whatever comes is shown to a model",
        WAY,
        "        _check_served(media, part.size)\n",
        "",
        (FACE + "::test_other_files_are_refused_with_what_is_served",),
    ),
    Mutant(
        "uploads: what is not served is not logged",
        WAY,
        "        routing = self._routed(new, config)\n        _check_served(media, part.size)\n",
        "        _check_served(media, part.size)\n        routing = self._routed(new, config)\n",
        (FACE + "::test_where_it_goes_is_logged_also_of_what_is_not_served",),
    ),
    Mutant(
        "uploads: rates do not count them",
        WAY,
        "        caller.spend(1)\n",
        "",
        (FACE + "::test_a_caller_is_known_by_its_token",),
    ),
    Mutant(
        "uploads: the best priority of a token does not hold",
        WAY,
        "        caller.check_priority(new.priority)\n",
        "",
        (FACE + "::test_a_caller_is_known_by_its_token",),
    ),
    Mutant(
        "uploads: another file is the same submit",
        WAY,
        "hash_of([form.fields, part.sha256])",
        "hash_of([form.fields])",
        (FACE + "::test_the_same_key_is_the_same_task_and_another_file_is_another",),
    ),
    Mutant(
        "uploads: gpu=false is no word",
        WAY,
        "WORDS.get(gpu, gpu) if gpu else None",
        "WORDS.get(gpu, gpu) or None",
        (FACE + "::test_no_gpu_takes_a_cpu_host",),
    ),
    Mutant(
        "uploads: metadata may say what the form says",
        WAY,
        "        if key in ELSEWHERE:",
        "        if False:",
        (FACE + "::test_a_wrong_field_is_named",),
    ),
    Mutant(
        "uploads: a file stays for ever",
        "ygg/running/chores.py",
        "            await asyncio.to_thread(uploads.drop, name)\n",
        "            pass\n",
        (FACE + "::test_a_file_goes_with_its_task_and_not_before",),
    ),
    Mutant(
        "uploads: a file goes while it comes",
        PLACE,
        "if name not in self._coming]",
        "]",
        (DISK + "::test_what_is_coming_in_is_nobodys_to_remove",),
    ),
    Mutant(
        "uploads: text ends where half a character stands",
        PLACE,
        'self._text and self._reads(b"", final=True)',
        "self._text",
        (DISK + "::test_text_is_what_reads_as_utf_8_from_end_to_end",),
    ),
    Mutant(
        "uploads: a NUL byte is text",
        PLACE,
        '        return b"\\0" not in data\n',
        "        return True\n",
        (DISK + "::test_text_is_what_reads_as_utf_8_from_end_to_end",),
    ),
    Mutant(
        "uploads: a call goes without its file",
        "ygg/running/calls.py",
        "run.stream(await filled(call, uploads))",
        "run.stream(call)",
        (FACE + "::test_a_text_is_summarised_and_the_answer_is_that_of_a_result",),
    ),
    Mutant(
        "uploads: a file that is gone is another error of the host",
        "ygg/running/attached.py",
        "        raise CallFailed(OutcomeKind.BAD_REQUEST, text) from None\n",
        "        raise CallFailed(OutcomeKind.UNREACHABLE, text) from None\n",
        (FACE + "::test_a_task_whose_file_is_gone_says_so",),
    ),
    Mutant(
        "uploads: Ollama gets parts it has no word for",
        "ygg/backends/ollama.py",
        "list(map(for_ollama, messages))",
        "messages",
        ("tests/backends/test_ollama.py::test_the_images_of_a_message_go_beside_its_text",),
    ),
    Mutant(
        "uploads: a part that Ollama cannot have is left out",
        "ygg/backends/parts.py",
        "    if any(text is None and image is None for",
        "    if False and any(text is None and image is None for",
        ("tests/backends/test_parts.py::test_what_ollama_has_no_word_for_stays_as_it_is",),
    ),
    Mutant(
        "uploads: letters are taken for bitmaps and songs",
        "ygg/intake/contents.py",
        "return TEXT if is_text else next(filter(None, _guesses(head)), UNKNOWN)",
        "return next(filter(None, _guesses(head)), TEXT if is_text else UNKNOWN)",
        ("tests/intake/test_contents.py::test_text_is_text_whatever_it_begins_with",),
    ),
    Mutant(
        "routing: a long GPU queue holds up files",
        "ygg/telling/routing.py",
        "    if seen.gpu_waiting > seen.cpu_waiting + seen.margin:",
        "    if False:",
        ("tests/telling/test_routing.py",),
    ),
    Mutant(
        "routing: hosts that are down count",
        "ygg/telling/routing.py",
        "seen.could if seen.up is None else seen.up",
        "seen.could",
        ("tests/telling/test_routing.py::test_without_gpu_hosts_that_are_up_it_falls_back",),
    ),
    Mutant(
        "routing: where it ran is not told",
        "ygg/telling/routing.py",
        "    if device == first.device:\n",
        "    if True:\n",
        ("tests/telling/test_routing.py::test_where_it_ran_is_what_counts_in_the_end",),
    ),
    Mutant(
        "uploads: a file gets the answer about another one",
        "ygg/api/processing.py",
        "sharing = new.sharing and of_file(new.sharing, part.sha256, config)",
        "sharing = new.sharing",
        ("tests/surface/test_uploads.py::test_an_answer_of_the_cache_is_that_of_the_same_file",),
    ),
]
