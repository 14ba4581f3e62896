"""The whole recorder on the emulated chip: paired by the real program, recording, synced over its own serial port."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from emulator.board import Board
    from emulator.computer import Computer
    from emulator.primed import Owner

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("emulated recorder")]

RATE_HZ = 16_000
LEAST_HEAP = 64_000  # nothing is loaded while it records, and the largest thing that is made has 2 KiB
MOST_STACK = 6 * 1024  # of 8
MOST_STACK_EVER = 7 * 1024
FIRST_SAMPLE_S = 0.3
CUT_COSTS_S = 1.0

Work = Callable[["Board", "Computer", "Owner", Path], Any]


@pytest.fixture(scope="session")
def recorder(uf2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Board, Computer, Owner]]:
    """Paired and primed; a talk that never says the same twice lies before its microphone."""
    from emulator.primed import make
    from system.kit import speech

    board, computer, owner = make(uf2, tmp_path_factory.mktemp("emulated"), speech(60).tolist())
    yield board, computer, owner
    computer.close()


@pytest.fixture
def go_on(recorder: tuple[Board, Computer, Owner], tmp_path: Path) -> Callable[[Work], Any]:
    """Goes on from the primed recorder in a process of its own; gives back what `work` returns."""
    from emulator.branch import branch

    board, computer, owner = recorder
    return lambda work: branch(board, tmp_path, lambda own, card: work(own, computer, owner, card))


def test_ten_seconds_bit_exact_with_its_marks_synced_over_the_cable(go_on: Callable[[Work], Any]) -> None:
    def work(board: Board, computer: Computer, owner: Owner, card: Path) -> dict[str, Any]:
        from emulator import primed

        told: dict[str, Any] = {"idle heap": primed.free_heap(board)}
        primed.paint_stack(board)
        told["first"] = primed.start(board)
        cycles, began = board.cycles, board.seconds
        board.run(3)
        board.person.press(0.15)
        told["pressed"] = [board.seconds - began]
        board.run(3)
        board.person.press(0.1)
        board.run(0.25)
        board.person.press(0.1)
        board.run(3.9)
        told["busy"] = (board.cycles - cycles) / 64e6 / (board.seconds - began)
        told["hz"] = board.time.sys_hz
        told["heap"] = primed.free_heap(board)
        told["stack"] = primed.most_stack(board)
        primed.stop(board)
        heard = primed.heard(board)
        answer = computer.earwitness(board, "sync", "--port", computer.port, seconds=120)
        told["answer"] = answer
        told["resets"], told["violations"] = board.resets, board.card.violations
        (item,) = owner.items(card, card.parent / "again")
        told["verdict"] = primed.plain(item)
        sound = owner.sound(item, card.parent / "master.flac")
        at = primed.find(sound, heard)
        told["offset"], told["count"] = at, len(sound)
        told["exact"] = bool(at >= 0 and np.array_equal(sound, heard[at : at + len(sound)]))
        (copy,) = computer.home.rglob("*.ewr")
        told["same file"] = copy.read_bytes() == item.path.read_bytes()
        return told

    told = go_on(work)
    assert told["exact"], told
    assert told["count"] >= 10 * RATE_HZ
    assert told["verdict"]["exit_code"] == 0
    assert not told["verdict"]["gaps"]
    assert [mark["kind"] for mark in told["verdict"]["marks"]] == ["moment", "disputed"]
    assert told["first"] + told["offset"] / RATE_HZ <= FIRST_SAMPLE_S
    assert told["heap"] >= LEAST_HEAP, told
    assert told["stack"] <= MOST_STACK, told
    assert told["resets"] == []
    assert told["violations"] == []
    assert told["same file"]


def test_the_deepest_moment_leaves_stack_to_spare(go_on: Callable[[Work], Any]) -> None:
    """A page is sealed in a wait of the card in which a checkpoint is signed: each half-minute of speech."""

    def work(board: Board, computer: Computer, owner: Owner, card: Path) -> int:
        from emulator import primed

        primed.start(board)
        primed.paint_stack(board)
        board.run(35)
        deepest = primed.most_stack(board)
        primed.stop(board)
        assert board.resets == []
        return deepest

    assert go_on(work) <= MOST_STACK_EVER


def test_stalls_of_the_card_lose_nothing_at_speech(go_on: Callable[[Work], Any]) -> None:
    def work(board: Board, computer: Computer, owner: Owner, card: Path) -> dict[str, Any]:
        from emulator import primed

        primed.start(board)
        board.run(2)
        busy = board.card.trouble.busy_ms
        busy[board.card.blocks_written + 3] = 900
        board.run(1.1)
        busy[board.card.blocks_written + 3] = 900
        board.run(3)
        busy[board.card.blocks_written + 3] = 2500
        board.run(5)
        primed.stop(board)
        heard = primed.heard(board)
        (item,) = owner.items(card, card.parent / "home")
        sound = owner.sound(item, card.parent / "master.flac")
        at = primed.find(sound, heard)
        exact = bool(at >= 0 and np.array_equal(sound, heard[at : at + len(sound)]))
        return {"verdict": primed.plain(item), "exact": exact, "stalls": len(busy), "worst": max(busy)}

    told = go_on(work)
    assert told["verdict"]["exit_code"] == 0
    assert not told["verdict"]["gaps"]
    assert told["exact"]


def test_a_stall_of_five_seconds_is_counted_to_the_sample_and_signed(go_on: Callable[[Work], Any]) -> None:
    def work(board: Board, computer: Computer, owner: Owner, card: Path) -> dict[str, Any]:
        from emulator import primed

        primed.start(board)
        board.run(1.5)
        board.card.trouble.busy_ms[board.card.blocks_written + 3] = 6000
        board.run(9)
        primed.stop(board)
        heard = primed.heard(board)
        (item,) = owner.items(card, card.parent / "home")
        verdict = primed.plain(item)
        sound = owner.sound(item, card.parent / "master.flac")
        at = primed.find(sound, heard)
        expected = heard[at : at + len(sound)].copy()
        for gap in verdict["gaps"]:
            expected[gap["sample"] : gap["sample"] + gap["count"]] = 0
        return {"verdict": verdict, "exact": bool(at >= 0 and np.array_equal(sound, expected))}

    told = go_on(work)
    verdict = told["verdict"]
    assert verdict["intact"]["ok"] and verdict["complete"]["ok"] and not verdict["continuous"]["ok"]
    assert verdict["gaps"] and {gap["reason"] for gap in verdict["gaps"]} == {"lost"}
    assert told["exact"]


def _flashes(board: Board, since: float) -> int:
    """How many flashes stand together: what a person counts; 0 for steady or dark."""
    lit = [change.at for change in board.person.lights if change.value and change.at > since]
    groups: list[int] = []
    for index, at in enumerate(lit):
        if index and at - lit[index - 1] < 0.9:
            groups[-1] += 1
        else:
            groups.append(1)
    return max(groups[1:-1] or groups, default=0)


def test_a_card_pulled_while_recording_is_told_and_recovered_when_it_is_back(go_on: Callable[[Work], Any]) -> None:
    def work(board: Board, computer: Computer, owner: Owner, card: Path) -> dict[str, Any]:
        from emulator import primed

        primed.start(board)
        board.run(4)
        board.pull_card()
        pulled = board.seconds
        board.run(11)  # while it looks for the card it may miss a flash
        told: dict[str, Any] = {"flashes": _flashes(board, pulled + 1.5), "steady": board.person.light == 40}
        told["buzzes"] = sum(pulled <= at <= pulled + 3 for at, _ in board.person.pulses)
        board.person.switch(False)
        board.insert_card()
        primed.until_primed(board)
        told["items"] = [primed.plain(item) for item in owner.items(card, card.parent / "home")]
        told["resets"] = board.resets
        return told

    told = go_on(work)
    assert told["flashes"] in (2, 4)
    assert told["buzzes"] >= 3
    (verdict,) = told["items"]
    assert verdict["intact"]["ok"] and verdict["complete"]["state"] == "recovered"
    assert verdict["duration_s"] >= 3
    assert told["resets"] == []


def test_a_card_that_refuses_a_block_ends_the_recording_which_is_recovered(go_on: Callable[[Work], Any]) -> None:
    def work(board: Board, computer: Computer, owner: Owner, card: Path) -> dict[str, Any]:
        from emulator import primed

        primed.start(board)
        board.run(3)
        first = board.card.blocks_written + 5
        board.card.trouble.refuse = dict.fromkeys(range(first, first + 40), 0x0D)
        board.run(2)
        board.card.trouble.refuse = {}
        board.person.switch(False)
        primed.until_primed(board)
        return {"items": [primed.plain(item) for item in owner.items(card, card.parent / "home")]}

    for verdict in go_on(work)["items"]:
        assert verdict["intact"]["ok"]
        assert verdict["duration_s"] >= 2


def test_a_full_card_is_told_and_nothing_recorded_on_it(go_on: Callable[[Work], Any]) -> None:
    def work(board: Board, computer: Computer, owner: Owner, card: Path) -> dict[str, Any]:
        from emulator import primed
        from tools.virtual.fat import make_card

        board.pull_card()
        board.run(3)
        full, filler = card.parent / "full.img", card.parent / "filler"
        make_card(full, primed.CARD_BYTES)
        listing = subprocess.run(["mdir", "-i", str(full), "::"], check=True, capture_output=True, text=True).stdout
        (free,) = re.findall(r"([\d ]+) bytes free", listing)
        with filler.open("wb") as file:
            file.truncate(int(free.replace(" ", "")) - (900 << 10))  # less than a recording begins with
        done = subprocess.run(
            ["mcopy", "-o", "-i", str(full), str(filler), "::FILLER.BIN"], check=False, capture_output=True
        )
        assert done.returncode == 0, done.stderr
        board.insert_card(full)
        board.person.switch(True)
        inserted = board.seconds
        board.run(15)
        return {"flashes": _flashes(board, inserted + 5), "listening": board.microphone.listening}

    told = go_on(work)
    assert told["flashes"] == 3
    assert not told["listening"]


def test_power_cut_at_sampled_writes_costs_at_most_a_second(go_on: Callable[[Work], Any], uf2: Path) -> None:
    def work(board: Board, computer: Computer, owner: Owner, card: Path) -> list[dict[str, Any]]:
        from emulator import primed
        from emulator.board import Board, PowerCut
        from emulator.branch import branch

        primed.start(board)
        found = []
        for step in range(3):
            board.run(1.3)

            def cut(own: Board, image: Path) -> dict[str, Any]:
                own.card.trouble.cut_at = (own.card.blocks_written + 2 + 3 * step, 100 + 150 * step, own.cut_power_soon)  # noqa: B023
                with pytest.raises(PowerCut):
                    own.run(5)
                said = primed.heard(own)
                again = Board(uf2, flash=own.flash, card=image)
                again.boot()
                primed.until_primed(again)
                (item,) = owner.items(image, image.parent / "home")
                sound = owner.sound(item, image.parent / "master.flac")
                at = primed.find(sound, said)
                return {
                    "verdict": primed.plain(item),
                    "exact": bool(at >= 0 and np.array_equal(sound, said[at : at + len(sound)])),
                    "missing": (len(said) - at - len(sound)) / RATE_HZ,
                }

            folder = card.parent / f"cut{step}"
            folder.mkdir()
            found.append(branch(board, folder, cut))
        return found

    for told in go_on(work):
        assert told["verdict"]["intact"]["ok"], told
        assert told["exact"], told
        assert told["missing"] <= CUT_COSTS_S + 0.3, told  # the time since the last page included


def test_a_microphone_that_falls_silent_does_not_pass_for_one_that_hears(go_on: Callable[[Work], Any]) -> None:
    def work(board: Board, computer: Computer, owner: Owner, card: Path) -> dict[str, Any]:
        board.microphone.stuck = 0
        board.person.switch(True)
        turned = board.seconds
        board.run(4)
        return {
            "listening": board.microphone.listening,
            "steady": [c for c in board.person.lights if c.at > turned + 1.5][-1:] == [],
            "buzzes": sum(at >= turned for at, _ in board.person.pulses),
            "changes": sum(change.at > turned + 1.5 for change in board.person.lights),
        }

    told = go_on(work)
    assert not told["listening"]
    assert told["buzzes"] >= 3
    assert told["changes"] >= 20  # a flicker


def test_a_microphone_that_dies_while_it_records_is_told_at_once_and_in_the_recording(
    go_on: Callable[[Work], Any],
) -> None:
    def work(board: Board, computer: Computer, owner: Owner, card: Path) -> dict[str, Any]:
        from emulator import primed

        primed.start(board)
        board.run(2)
        board.microphone.stuck = 0
        died = board.seconds
        board.run(3)
        told: dict[str, Any] = {
            "buzzes": sum(died <= at <= died + 2.5 for at, _ in board.person.pulses),
            "changes": sum(change.at > died + 2 for change in board.person.lights),
        }
        board.microphone.stuck = None
        board.run(2)
        primed.stop(board)
        (item,) = owner.items(card, card.parent / "home")
        return {**told, "verdict": primed.plain(item)}

    told = go_on(work)
    assert told["buzzes"] == 3
    assert told["changes"] >= 8  # a flicker
    verdict = told["verdict"]
    assert verdict["intact"]["ok"] and verdict["complete"]["ok"] and not verdict["continuous"]["ok"]
    (silence,) = verdict["silences"]
    assert abs(silence["count"] / RATE_HZ - 3) < 0.3, silence


def test_a_recorder_that_hangs_is_restarted_by_its_watchdog_and_recovers(go_on: Callable[[Work], Any]) -> None:
    def work(board: Board, computer: Computer, owner: Owner, card: Path) -> dict[str, Any]:
        from emulator import primed

        primed.start(board)
        board.run(2)
        board.mcu.core.waiting = True  # the processor stands still, as after a fault that nobody handles
        board.mcu.core.enabled_interrupts = 0
        board.run_until(lambda: board.resets, 12, "the watchdog")
        board.person.switch(False)
        board.run_until(lambda: board.cable.connected, 3, "the recorder again")
        primed.until_primed(board)
        (item,) = owner.items(card, card.parent / "home")
        return {"resets": board.resets, "verdict": primed.plain(item)}

    told = go_on(work)
    ((_, cause),) = told["resets"]
    assert cause == "watchdog"
    assert told["verdict"]["intact"]["ok"] and told["verdict"]["duration_s"] > 0.5


def test_a_random_source_that_stands_still_is_a_fault_and_nothing_is_recorded(uf2: Path, tmp_path: Path) -> None:
    from emulator import install
    from emulator.board import Board

    board = Board(uf2, files=install.firmware())
    board.oscillator.constant = 1
    board.boot()
    board.person.switch(True)
    board.run(6)
    lit = [change for change in board.person.lights if change.at > 5]
    assert len(lit) >= 10, "the flicker of a failed self-test"
    assert not board.microphone.listening
