"""The tests of the protocol once more, over Bluetooth: the same functions, another transport between the same two ends."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import pytest

import link_device
from earwitness.link import ble
from link_device import Meddling
from tests.host import test_link_session as over_cable
from tests.host.test_link_session import paired

__all__ = ["paired"]

# About the cable itself, about both ends without one, or different in the air: then test_strangers.py has its own.
_CABLE_ONLY = {
    "test_a_host_that_stops_reading_is_written_off_until_its_next_frame",
    "test_a_megabyte_of_noise_changes_nothing",
    "test_a_port_that_is_not_there_says_so",
    "test_a_proved_session_outlives_the_five_seconds",
    "test_a_stranger_learns_the_version_and_nothing_else",
    "test_everything_passes_a_terminal_device_unchanged",
    "test_key_missing_is_the_kind_of_a_refusal",
    "test_keys_and_proofs_follow_the_specification",
    "test_no_proof_within_five_seconds_drops_the_session",
    "test_something_else_on_the_port_is_said_to_be_no_recorder",
    "test_the_example_in_the_specification_is_what_the_code_does",
    "test_the_numbers_in_the_specification_are_those_of_both_ends",
    "test_the_rate_over_a_socket_is_told",
}
# Run always; the rest, at a second each, with --all.
_ALWAYS = {
    "test_a_session_answers_every_command",
    "test_an_impostor_that_cannot_prove_itself_is_refused",
    "test_a_recorded_session_cannot_be_replayed",
    "test_a_changed_sealed_frame_is_ignored_at_either_end",
    "test_a_read_ends_when_a_recording_begins_and_the_idle_set_is_given_back",
    "test_header_and_checkpoints_travel_sealed_and_audio_as_it_is",
    "test_lost_and_repeated_pages_come_right",
    "test_repeated_and_reordered_commands_act_once",
    "test_the_wrong_secret_is_refused",
}


def _again(test: Any) -> Any:
    """The same test with marks of its own."""
    copy = FunctionType(test.__code__, test.__globals__, test.__name__, test.__defaults__, test.__closure__)
    copy.__dict__.update(test.__dict__)
    copy.__annotations__ = test.__annotations__
    return copy if test.__name__ in _ALWAYS else pytest.mark.long(copy)


_ALL = {name: test for name, test in vars(over_cable).items() if name.startswith("test_")}
globals().update({name: _again(test) for name, test in _ALL.items() if name not in _CABLE_ONLY})


def test_no_test_was_renamed_unseen() -> None:
    assert set(_ALL) >= _CABLE_ONLY | _ALWAYS


def _reach(_url: Any) -> ble.BleTransport:
    (near,) = ble.find(10)
    return ble.BleTransport(near)


class _Meddler(Meddling, ble.BleTransport):
    """Somebody in the air who can change what passes."""

    def __init__(self, _url: str, **what: Any) -> None:
        (near,) = ble.find(10)
        super().__init__(near, **what)


@pytest.fixture(autouse=True)
def _over_the_air(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (over_cable, link_device):
        monkeypatch.setattr(module, "SocketTransport", _reach)
        monkeypatch.setattr(module, "Meddler", _Meddler)
