"""Planted bugs in what one sick card does to the others."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

NVML, SICK = "tests/probes/test_nvml.py", "tests/probes/test_sick.py"
CORE = "tests/core/hosts/test_cards.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "cards: an error of one is the driver's",
        "ygg/probes/nvml_driver.py",
        "        if not told:\n",
        "        if len(told) < len(found):\n",
        (NVML,),
    ),
    Mutant(
        "cards: what is wrong with processes hides the heat",
        "ygg/probes/nvml_driver.py",
        "    except nvml.NVMLError:  # what a card",
        "    except ZeroDivisionError:  # what a card",
        (NVML,),
    ),
    Mutant(
        "cards: one that answers nothing is well",
        "ygg/probes/nvml_driver.py",
        "if total is None and temperature is None and not unified:",
        "if False:",
        (NVML,),
    ),
    Mutant(
        "cards: a sick line ends the stream",
        "ygg/probes/ssh_session.py",
        "            if smi.looks_like_a_row(line):\n                return",
        "            if smi.looks_like_a_row(line):\n                raise\n                return",
        (SICK,),
    ),
    Mutant(
        "cards: one that cannot be opened blinds the machine",
        "ygg/probes/ssh_session.py",
        "elif others := await self._others():",
        "elif others := ():",
        (SICK,),
    ),
    Mutant(
        "cards: one that was lost is never asked for again",
        "ygg/probes/ssh_session.py",
        "habits.query = replace(habits.query, only=())",
        "pass",
        (SICK,),
    ),
    Mutant(
        "cards: a bad value hides the heat of its line",
        "ygg/probes/sick.py",
        "    if found.device.temperature_c is not None:\n        return found\n",
        "",
        (SICK,),
    ),
    Mutant(
        "cards: a lost one is not named",
        "ygg/probes/sick.py",
        "for index in set(range(count)) - found.keys():",
        "for index in ():",
        (SICK,),
    ),
    Mutant(
        "cards: only lost ones are a reading",
        "ygg/core/hosts/readings.py",
        "if all(d.error for d in event.reading.devices):",
        "if False:",
        (CORE,),
    ),
    Mutant(
        "cards: what is silent has cooled",
        "ygg/core/hosts/cards.py",
        "device.temperature_c is not None or before is None or not _hot(before, rule)",
        "True",
        (CORE,),
    ),
    Mutant(
        "cards: one that is not listed is forgotten",
        "ygg/core/hosts/cards.py",
        "gone = (d for uuid, d in gauge.cards.items() if uuid not in listed)",
        "gone = ()",
        (CORE,),
    ),
    Mutant(
        "cards: a warm one that is silent holds slots",
        "ygg/core/hosts/cards.py",
        " or not _hot(before, rule):",
        ":",
        (CORE,),
    ),
    Mutant(
        "cards: a lost one is told with each reading",
        "ygg/core/hosts/readings.py",
        "bool(d.error) != (d.uuid in before)",
        "d.error or d.uuid in before",
        (CORE,),
    ),
    Mutant(
        "cards: impossible memory hides the heat",
        "ygg/model/telemetry.py",
        "            return replace(self, total_mb=None, free_mb=None)",
        "            return Device(self.uuid, self.index, self.name, error=fault)",
        (CORE,),
    ),
    Mutant(
        "cards: why names no lost one",
        "ygg/core/hosts/lowered.py",
        "(said.what, _lost(host), said.ends)",
        "(said.what, said.ends)",
        (CORE,),
    ),
]
