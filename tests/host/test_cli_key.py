"""Making, saving and restoring the key, as it is typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from earwitness import recovery_sheet
from earwitness.identity import Identity
from tests.host.program import environment, run, run_process

DECLINE = "decline\nI accept that a lost key loses every recording\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def secret_of(home: Path) -> Identity:
    return Identity.from_text((home / "config" / "identity.txt").read_text())


def state(home: Path) -> str:
    return str(json.loads((home / "config" / "identity.json").read_text())["recovery"])


def test_init_is_not_finished_until_the_sheet_is_read_back(home: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.pdf"
    first = run(home, "key", "init", "--no-passphrase", "--sheet", str(sheet), stdin="abandon abandon\n")
    assert first.returncode == 1 and state(home) == "unfinished"
    assert sheet.read_bytes().startswith(b"%PDF")
    words = recovery_sheet.words_of(secret_of(home))
    second = run(home, "key", "init", "--sheet", str(sheet), stdin="wrong words\n" + " ".join(words[6:12]) + "\n")
    assert second.returncode == 0, second.stderr
    assert "Look again" in second.stderr and state(home) == "saved"
    assert second.stdout.strip() == secret_of(home).recipient


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_the_sheet_is_for_this_account_only(home: Path, tmp_path: Path) -> None:
    run(home, "key", "init", "--no-passphrase", "--sheet", str(tmp_path / "sheet.pdf"), stdin="decline\n")
    assert (tmp_path / "sheet.pdf").stat().st_mode & 0o077 == 0


def test_it_can_be_declined_in_words_and_only_in_words(home: Path) -> None:
    for answer, code in (("decline\nyes\n", 2), ("decline\n\n", 2), ("decline\n", 1)):
        done = run(home, "key", "init", "--no-passphrase", stdin=answer)
        assert done.returncode == code and state(home) == "unfinished"
    done = run(home, "key", "init", stdin=DECLINE)
    assert done.returncode == 0 and state(home) == "declined"
    assert "recovery sheet: declined" in run(home, "doctor").stdout


def test_without_anybody_to_answer_it_says_what_was_and_was_not_done(home: Path) -> None:
    done = run(home, "key", "init", "--keep", "passphrase")
    assert done.returncode == 1 and "no terminal to ask for one" in done.stderr and "--no-passphrase" in done.stderr
    assert not (home / "config" / "identity.json").exists()
    done = run(home, "key", "init", "--no-passphrase")
    assert done.returncode == 1 and state(home) == "unfinished"
    assert "An answer was needed" in done.stderr and "The key is kept, its recovery sheet is not settled" in done.stderr


def test_a_sheet_is_named_as_the_pdf_that_it_is(home: Path, tmp_path: Path) -> None:
    done = run(home, "key", "init", "--no-passphrase", "--sheet", str(tmp_path / "sheet.txt"), stdin=DECLINE)
    assert done.returncode == 2 and "is a PDF, not sheet.txt" in done.stderr
    assert not (home / "config" / "identity.json").exists(), "no key was made either"
    run(home, "key", "init", "--no-passphrase", stdin=DECLINE)
    assert run(home, "key", "backup", "-o", str(tmp_path / "x.txt")).returncode == 2
    words = recovery_sheet.words_of(secret_of(home))
    done = run(home, "key", "backup", "-o", str(tmp_path / "x"), stdin=" ".join(words[6:12]) + "\n")
    assert done.stdout == f"{tmp_path / 'x.pdf'}\n" and (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")
    assert done.stderr.count("print it now, then delete it") == 1 and "is your key, unlocked" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_what_is_typed_to_restore_is_not_shown_and_a_wrong_word_is_told_at_once(home: Path) -> None:
    import pty

    words = recovery_sheet.words_of(Identity.from_secret(bytes(range(32))))
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "earwitness", "key", "restore", "--no-passphrase"],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=environment(home),
        start_new_session=True,
    )
    os.close(follower)

    def until(text: str) -> str:
        said = ""
        while text not in said:
            said += os.read(leader, 1000).decode()
        return said

    try:
        told = until("KEY-1…: ")
        os.write(leader, (" ".join(words[:6]) + "\n").encode())
        told += until("6 words so far; go on: ")
        os.write(leader, (" ".join([words[6], "candel"]) + "\n").encode())
        told += until("Did you mean")
        assert process.wait(30) == 12
    finally:
        process.kill()
        os.close(leader)
    assert "What you type is not shown" in told and "Word 8, “candel”" in told
    assert " ".join(words[:3]) not in told


def test_a_second_key_is_not_made(home: Path) -> None:
    run(home, "key", "init", "--no-passphrase", stdin=DECLINE)
    before = secret_of(home).text
    assert run(home, "key", "init", "--no-passphrase", stdin=DECLINE).returncode == 2
    assert secret_of(home).text == before


def test_the_words_of_the_sheet_bring_the_key_to_another_computer(home: Path, tmp_path: Path) -> None:
    run(home, "key", "init", "--no-passphrase", stdin=DECLINE)
    identity = secret_of(home)
    words = recovery_sheet.words_of(identity)
    lines = "\n".join(" ".join(words[at : at + 6]) for at in range(0, 24, 6)) + "\n"
    for number, typed in enumerate((" ".join(words) + "\n", lines, identity.text + "\n")):
        other = tmp_path / f"other{number}"
        done = run(other, "key", "restore", "--no-passphrase", stdin=typed)
        assert done.returncode == 0, done.stderr
        assert secret_of(other).text == identity.text
        assert run(other, "key", "show-public").stdout.strip() == identity.recipient


def test_a_mistyped_word_is_named_and_nothing_is_kept(home: Path) -> None:
    words = recovery_sheet.words_of(Identity.generate())
    done = run(home, "key", "restore", "--no-passphrase", stdin=" ".join(["xylofone", *words[1:]]) + "\n")
    assert done.returncode == 12 and "xylofone" in done.stderr
    assert not (home / "config" / "identity.json").exists()


def test_backup_saves_the_sheet_and_settles_what_was_declined(home: Path, tmp_path: Path) -> None:
    run(home, "key", "init", "--no-passphrase", stdin=DECLINE)
    words = recovery_sheet.words_of(secret_of(home))
    done = run(home, "key", "backup", "-o", str(tmp_path / "s.pdf"), stdin=" ".join(words[6:12]) + "\n")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "s.pdf").exists() and state(home) == "saved"


@pytest.mark.skipif(os.name != "posix", reason="inherited file descriptors")
def test_a_passphrase_comes_from_a_descriptor_and_nowhere_else(home: Path) -> None:
    def with_passphrase(text: str, *words: str, stdin: str = "") -> int:
        reader, writer = os.pipe()
        os.write(writer, text.encode() + b"\n")
        os.close(writer)
        try:
            done = run_process(home, *words, "--passphrase-fd", str(reader), stdin=stdin, pass_fds=(reader,))
        finally:
            os.close(reader)
        return done.returncode

    good = "five words make a passphrase"
    assert with_passphrase(good, "key", "init", "--keep", "passphrase", stdin=DECLINE) == 0
    assert not (home / "config" / "identity.txt").exists()
    sheet = str(home / "s.pdf")
    assert with_passphrase(good + "?", "key", "backup", "-o", sheet) == 12
    words = run(home, "key", "backup", "-o", sheet, env={"EARWITNESS_PASSPHRASE": good})
    assert words.returncode == 12 and "terminal" in words.stderr


def test_no_output_ever_holds_the_secret(home: Path, tmp_path: Path) -> None:
    done = [run(home, "key", "init", "--no-passphrase", "-v", stdin=DECLINE)]
    done += [run(home, *words) for words in (["key", "show-public"], ["doctor", "-v"], ["key", "init"])]
    identity = secret_of(home)
    for one in done:
        assert identity.text[20:40] not in one.stdout + one.stderr
        assert " ".join(recovery_sheet.words_of(identity)[:3]) not in one.stdout + one.stderr


def test_a_sheet_replaces_a_file_only_when_told_to(home: Path, tmp_path: Path) -> None:
    (taken := tmp_path / "taken.pdf").write_bytes(b"something else")
    done = run(home, "key", "init", "--no-passphrase", "--sheet", str(taken), stdin=DECLINE)
    assert done.returncode == 2 and not (home / "config" / "identity.json").exists()
    assert run(home, "key", "init", "--no-passphrase", stdin=DECLINE).returncode == 0
    answer = " ".join(recovery_sheet.words_of(secret_of(home))[6:12]) + "\n"
    for name in (taken, taken.with_suffix("")):
        done = run(home, "key", "backup", "-o", str(name), stdin=answer)
        assert done.returncode == 2 and "taken.pdf already exists." in done.stderr and "--force" in done.stderr
    assert taken.read_bytes() == b"something else"
    done = run(home, "key", "backup", "-f", "-o", str(taken), stdin=answer)
    assert done.returncode == 0 and taken.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("keep", ["file", "passphrase"])
def test_another_key_never_takes_the_place_of_the_one_that_is_here(home: Path, keep: str, tmp_path: Path) -> None:
    mine, other = Identity.generate(), Identity.generate()
    (old := tmp_path / "mine.txt").write_text(mine.text)
    (new := tmp_path / "other.txt").write_text(other.text)
    (secret := tmp_path / "passphrase").write_text("five words make a passphrase\n")

    def restore(file: Path) -> subprocess.CompletedProcess[str]:
        handle = os.open(secret, os.O_RDONLY)
        return run(home, "key", "restore", "--file", str(file), "--keep", keep, "--passphrase-fd", str(handle))

    assert restore(old).returncode == 0
    before = {path: path.read_bytes() for path in (home / "config").iterdir()}
    done = restore(new)
    assert done.returncode == 2 and "already another key" in done.stderr
    assert {path: path.read_bytes() for path in (home / "config").iterdir()} == before
    for path in before:
        assert path.name in done.stderr
    assert restore(old).returncode == 0, "the same key again is no other"
