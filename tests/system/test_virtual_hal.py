"""The virtual hardware behaves as the real one does where it matters: ring, NOR flash, power cuts, time, card."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

ROOT = Path(__file__).resolve().parent.parent.parent
VIRTUAL = ROOT / "tools" / "virtual"


def _tape(path: Path, samples: int) -> np.ndarray:
    data = np.random.default_rng(7).integers(-32768, 32767, samples).astype("<i2")
    path.write_bytes(data.tobytes())
    return data


def _killed(source: str, settings: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a case that is expected to lose its power."""
    script = folder / "cut.py"
    script.write_text(
        f"import sys\nsys.path[:0] = [{str(ROOT / 'firmware')!r}, {str(VIRTUAL)!r}]\n"
        f"ARGS = {{'virtual': {settings!r}}}\nimport virtual_hal\n{source}\nprint('survived')\n"
    )
    return subprocess.run(["micropython", str(script)], capture_output=True, text=True, timeout=30, check=False)


# --- time


def test_time_moves_only_as_far_as_something_waits(mpy) -> None:
    out = mpy("""
        from recorder.hal import clock
        before = clock.now_us()
        clock.idle(2500)
        emit(clock.now_us() - before)
        ticks = clock.ticks_ms()
        clock.idle(1234)
        emit(clock.since_ms(ticks))
    """)
    assert 2_500_000 <= out[0] < 2_500_100
    assert out[1] == 1234


def test_idle_wakes_when_the_switch_moves(mpy) -> None:
    out = mpy(
        """
        from recorder.hal import clock, switch
        clock.idle(5000)
        emit([clock.now_us(), switch.is_on()])
        """,
        args={"virtual": {"script": [[1_000_000, "switch", 1]]}},
    )
    assert out[0][1] is True
    assert 1_000_000 <= out[0][0] < 1_000_100


def test_waiting_for_nothing_still_takes_time(mpy) -> None:
    out = mpy("""
        from recorder.hal import clock
        before = clock.now_us()
        for _ in range(1000):
            clock.idle(0)
        emit(clock.now_us() - before)
    """)
    assert out[0] >= 1000


def test_button_edges_are_stamped_when_they_happen(mpy) -> None:
    out = mpy(
        """
        import struct
        from recorder.hal import clock, button
        into = bytearray(8)
        clock.idle(300); clock.idle(300); clock.idle(300)
        while True:
            edge = button.next_edge(into)
            if edge < 0:
                break
            emit([edge, struct.unpack("<Q", into)[0]])
        """,
        args={"virtual": {"script": [[123_456, "button", 1], [223_456, "button", 0]]}},
    )
    assert out == [[1, 123_456], [0, 223_456]]


def test_sample_path_calls_allocate_nothing(mpy, tmp_path: Path) -> None:
    _tape(tmp_path / "tape.s16", 40_000)
    out = mpy(
        """
        import micropython
        from recorder.hal import mic, clock, button
        into = bytearray(8)
        def path():
            for _ in range(500):
                mic.count(); clock.stamp(into, 0, 5); button.next_edge(into); clock.idle(3); clock.ticks_ms()
        mic.start()
        micropython.heap_lock()
        path()
        micropython.heap_unlock()
        emit(mic.count())
        """,
        args={"virtual": {"mic": str(tmp_path / "tape.s16")}},
    )
    assert out[0] > 20_000


# --- microphone


def test_every_sample_of_the_tape_passes_through_the_ring(mpy, tmp_path: Path) -> None:
    data = _tape(tmp_path / "tape.s16", 50_000)
    mpy(
        f"""
        from recorder.hal import mic, clock
        ring = memoryview(mic.ring())
        out = open({str(tmp_path / "heard")!r}, "wb")
        mic.start()
        got = 0
        waits = (1, 7, 300, 64, 13, 900)
        turn = 0
        while got < 48000:
            clock.idle(waits[turn % 6]); turn += 1
            count = mic.count()
            while got < count:
                at = got % mic.RING_SAMPLES
                end = min(at + count - got, mic.RING_SAMPLES)
                out.write(ring[2 * at : 2 * end])
                got += end - at
        out.close()
        """,
        args={"virtual": {"mic": str(tmp_path / "tape.s16")}},
    )
    heard = np.frombuffer((tmp_path / "heard").read_bytes(), "<i2")
    assert len(heard) >= 48_000
    assert np.array_equal(heard[:48_000], data[:48_000])


def test_ring_is_overwritten_when_nobody_reads_it(mpy, tmp_path: Path) -> None:
    data = _tape(tmp_path / "tape.s16", 60_000)
    out = mpy(
        """
        import struct
        from recorder.hal import mic, clock
        mic.start()
        clock.idle(2000)
        count = mic.count()
        ring = mic.ring()
        emit([count] + [struct.unpack_from("<h", ring, 2 * (k % 16384))[0] for k in (count - 1, count - 16384)])
        mic.stop()
        clock.idle(1000)
        emit(mic.count())
        """,
        args={"virtual": {"mic": str(tmp_path / "tape.s16")}},
    )
    count, newest, oldest = out[0]
    assert count == 32_000
    assert (newest, oldest) == (data[count - 1], data[count - 16_384])
    assert out[1] == count


def test_tape_stands_still_between_recordings_and_hisses_behind_its_end(mpy, tmp_path: Path) -> None:
    data = _tape(tmp_path / "tape.s16", 20_000)
    out = mpy(
        """
        import struct
        from recorder.hal import mic, clock
        mic.start(); clock.idle(500); mic.stop()
        first = mic.count()
        clock.idle(3000)
        mic.start(); clock.idle(10)
        mic.count()
        emit([first, struct.unpack_from("<h", mic.ring(), 0)[0]])
        clock.idle(990)
        count = mic.count()
        emit([struct.unpack_from("<h", mic.ring(), 2 * (count - back))[0] for back in range(1, 65)])
        """,
        args={"virtual": {"mic": str(tmp_path / "tape.s16")}},
    )
    first, sample = out[0]
    assert sample == data[first]
    assert set(out[1]) == {-1, 0, 1}


def test_tape_of_the_right_kind_is_exact_and_any_other_is_resampled(tmp_path: Path) -> None:
    from tools.virtual.tape import make_tape

    data = np.random.default_rng(3).integers(-32768, 32767, 70_001).astype("<i2")
    sf.write(tmp_path / "exact.flac", data, 16_000, subtype="PCM_16")
    assert make_tape(tmp_path / "exact.flac", tmp_path / "exact.s16") == len(data)
    assert (tmp_path / "exact.s16").read_bytes() == data.tobytes()
    tone = 0.5 * np.sin(np.arange(44_100) * 2 * np.pi * 440 / 44_100)
    sf.write(tmp_path / "other.wav", np.column_stack([tone, tone]), 44_100)
    assert abs(make_tape(tmp_path / "other.wav", tmp_path / "other.s16") - 16_000) <= 2
    heard = np.frombuffer((tmp_path / "other.s16").read_bytes(), "<i2") / 32768
    assert np.argmax(np.abs(np.fft.rfft(heard))) == pytest.approx(440, abs=1)


# --- flash


@pytest.mark.parametrize("in_file", [False, True])
def test_flash_programs_towards_zero_and_erases_to_ones(mpy, tmp_path: Path, in_file: bool) -> None:
    settings = {}
    if in_file:
        (tmp_path / "flash").write_bytes(b"\xff" * 524_288)
        settings["flash"] = str(tmp_path / "flash")
    out = mpy(
        """
        from recorder.hal import flash
        into = bytearray(4)
        flash.program(4095, b"\\xf0\\x0f\\xaa")
        flash.program(4095, b"\\x3c\\xff\\x55")
        flash.read(4094, into); emit(list(into))
        flash.erase(1)
        flash.read(4094, into); emit(list(into))
        """,
        args={"virtual": settings},
    )
    assert out == [[0xFF, 0x30, 0x0F, 0x00], [0xFF, 0x30, 0xFF, 0xFF]]


def test_power_cut_while_programming_leaves_a_prefix_and_a_torn_byte(tmp_path: Path) -> None:
    (tmp_path / "flash").write_bytes(b"\xff" * 524_288)
    source = "from recorder.hal import flash\ntry:\n    flash.program(0, bytes(8))\n    flash.program(256, bytes(8))\nfinally:\n    print('finally')"
    done = _killed(source, {"flash": str(tmp_path / "flash"), "cut_at_flash_write": 2}, tmp_path)
    assert done.returncode == -9
    assert "survived" not in done.stdout and "finally" not in done.stdout
    flash = (tmp_path / "flash").read_bytes()
    assert flash[:8] == bytes(8)
    assert flash[256:264] == bytes(4) + b"\xf0" + b"\xff" * 3


def test_power_cut_while_erasing_leaves_half_a_sector(tmp_path: Path) -> None:
    (tmp_path / "flash").write_bytes(bytes(524_288))
    done = _killed(
        "from recorder.hal import flash\nflash.erase(3)",
        {"flash": str(tmp_path / "flash"), "cut_at_write": 1},
        tmp_path,
    )
    assert done.returncode == -9
    sector = (tmp_path / "flash").read_bytes()[3 * 4096 : 4 * 4096]
    assert sector == b"\xff" * 2048 + bytes(2048)


# --- card

_WRITE = """
from recorder.hal import card
device = card.open_card()
device.writeblocks(0, b"A" * 2048)
device.writeblocks(8, b"B" * 2048)
device.writeblocks(16, b"C" * 2048)
"""


@pytest.mark.parametrize(("torn", "kept"), [(False, 1024), (True, 1224)])
def test_power_cut_in_a_write_of_the_card_leaves_whole_blocks(tmp_path: Path, torn: bool, kept: int) -> None:
    card = tmp_path / "card"
    card.write_bytes(bytes(64 * 512))
    done = _killed(_WRITE, {"card": str(card), "cut_at_card_write": 2, "torn": torn}, tmp_path)
    assert done.returncode == -9
    assert "survived" not in done.stdout
    data = card.read_bytes()
    assert data[:2048] == b"A" * 2048
    assert data[4096 : 4096 + 2048] == (b"B" * kept).ljust(2048, b"\0")
    assert data[8192:] == bytes(len(data) - 8192)


def test_waiting_for_the_card_pumps_every_millisecond(mpy, tmp_path: Path) -> None:
    (tmp_path / "card").write_bytes(bytes(64 * 512))
    out = mpy(
        """
        from recorder.hal import card, clock
        times = []
        device = card.open_card()
        card.pump = lambda: times.append(clock.now_us())
        device.writeblocks(0, bytes(512))
        card.pump = None
        emit([len(times), max(b - a for a, b in zip(times, times[1:])), card.worst_write_ms()])
        """,
        args={"virtual": {"card": str(tmp_path / "card"), "stall_at_write": {"1": 900}}},
    )
    calls, longest, worst = out[0]
    assert 890 <= calls <= 910
    assert longest <= 1100
    assert 900 <= worst <= 910


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"fail_writes": [2]}, "card failed"),
        ({"read_only": True}, "card failed"),
        ({"pull_at_write": 2}, "card pulled"),
        ({"stall_at_write": {"1": 20_000}}, "card too slow"),
        ({"script": [[20_500, "card", 0]]}, "card pulled"),
    ],
)
def test_card_failures_are_raised_and_named(mpy, tmp_path: Path, settings: dict[str, Any], kind: str) -> None:
    (tmp_path / "card").write_bytes(bytes(64 * 512))
    out = mpy(
        """
        from recorder.hal import card
        device = card.open_card()
        try:
            device.writeblocks(0, b"A" * 512)
            device.writeblocks(1, b"B" * 512)
            emit("no error")
        except OSError:
            emit(device.last_error)
        """,
        args={"virtual": {"card": str(tmp_path / "card"), **settings}},
    )
    assert out == [kind]


def test_an_exchanged_card_is_not_the_card_that_was_opened(mpy, tmp_path: Path) -> None:
    (tmp_path / "card").write_bytes(bytes(64 * 512))
    out = mpy(
        """
        from recorder.hal import card, clock
        device = card.open_card()
        emit(card.present())
        for _ in range(3):
            clock.idle(10_000)
        emit(card.present())
        card.open_card()
        emit(card.present())
        """,
        args={"virtual": {"card": str(tmp_path / "card"), "script": [[1_000_000, "card", 0], [2_000_000, "card", 1]]}},
    )
    assert out == [True, False, True]


@pytest.mark.parametrize("size", ["34M", "64M", "1G"])
def test_new_card_is_fat32_to_the_firmware(mpy, tmp_path: Path, size: str) -> None:
    from tools.virtual.fat import make_card, parse_size

    make_card(tmp_path / "card", parse_size(size))
    out = mpy(
        """
        import vfs
        from recorder.hal import card
        system = vfs.VfsFat(card.open_card())
        vfs.mount(system, "/sd")
        with open("/sd/EW000001.EWR", "wb") as file:
            file.write(b"whole")
        vfs.umount("/sd")
        system = vfs.VfsFat(card.open_card())
        vfs.mount(system, "/sd")
        with open("/sd/EW000001.EWR", "rb") as file:
            emit(file.read().decode())
        """,
        args={"virtual": {"card": str(tmp_path / "card")}},
    )
    assert out == ["whole"]


def test_new_card_passes_the_file_system_check(tmp_path: Path) -> None:
    from tools.environment import find_tool
    from tools.virtual.fat import make_card

    fsck = find_tool("fsck.vfat")
    if fsck is None:
        pytest.skip("no fsck.vfat here")
    make_card(tmp_path / "card", 64 << 20)
    done = subprocess.run([fsck, "-n", str(tmp_path / "card")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# --- entropy, power


def test_entropy_can_be_made_to_stick(mpy) -> None:
    out = mpy(
        """
        from recorder.hal import entropy
        into = bytearray(64)
        entropy.raw(into)
        emit(sorted(set(into)))
        """,
        args={"virtual": {"entropy": "stuck"}},
    )
    assert out == [[1]]


def test_raw_entropy_is_bits(mpy) -> None:
    out = mpy("""
        from recorder.hal import entropy
        into = bytearray(1000)
        entropy.raw(into)
        emit([sorted(set(into)), sum(into)])
    """)
    assert out[0][0] == [0, 1]
    assert 380 < out[0][1] < 620


def test_watchdog_bites_a_loop_that_forgets_it(tmp_path: Path) -> None:
    source = "from recorder.hal import power, clock\npower.feed()\nclock.idle(9000)\npower.feed()"
    done = _killed(source, {"events": str(tmp_path / "events")}, tmp_path)
    assert done.returncode == -9
    assert '"watchdog"' in (tmp_path / "events").read_text()


def test_fault_code_outlives_a_reset(mpy, tmp_path: Path) -> None:
    settings = {"virtual": {"kept": str(tmp_path / "kept")}}
    mpy("from recorder.hal import power\npower.note_fault(7)", args=settings)
    out = mpy("from recorder.hal import power\nemit([power.last_fault(), power.last_fault()])", args=settings)
    assert out == [[7, 0]]
    out = mpy("from recorder.hal import power\nemit(power.last_fault())", args=settings)
    assert out == [0]


def test_misspelt_setting_is_refused(tmp_path: Path) -> None:
    done = _killed("pass", {"cut_at_wirte": 3}, tmp_path)
    assert done.returncode != 0
    assert "cut_at_wirte" in done.stdout + done.stderr


def test_clock_chip_keeps_what_it_is_told_over_a_boot(mpy, tmp_path: Path) -> None:
    settings = {"virtual": {"utc_us": 1_000_000, "rtc": str(tmp_path / "rtc")}}
    out = mpy(
        """
        from recorder.hal import rtc, clock
        clock.idle(1000)
        emit(rtc.read()[0])
        rtc.write(1_700_000_000_000_000)
        """,
        args=settings,
    )
    assert out[0] == pytest.approx(2_000_000, abs=100)
    out = mpy("from recorder.hal import rtc\nemit(rtc.read()[0])", args=settings)
    assert out[0] == pytest.approx(1_699_999_999_000_000, abs=1000)
    assert mpy("from recorder.hal import rtc\nemit(rtc.read())") == [None]
