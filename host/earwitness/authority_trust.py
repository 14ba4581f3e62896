"""Which time authorities are asked, and which root certificates are believed about time.

Settings: `stamp.toml` in the configuration folder; made with its comments at the first `earwitness stamp`. Roots: those
in `authority_trust.pem` beside this module, with the reason for each, unless the settings say otherwise, and every
certificate that the owner puts in the folder `time-roots` beside the settings. What a web browser trusts is not believed:
those lists are about web sites.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from earwitness import places
from earwitness.atomic import replacing
from earwitness.errors import UsageError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

SETTINGS_FILE: Final = "stamp.toml"
ROOTS_FOLDER: Final = "time-roots"
_SHIPPED: Final = Path(__file__).with_name("authority_trust.pem")
_SUFFIXES: Final = (".pem", ".crt", ".cer", ".der")

DEFAULTS: Final = """\
# Who is asked, by `earwitness stamp`, to sign the time (RFC 3161). They are sent 32 bytes, the hash of the recorder's
# signed end: no sound, no name, no length. They see this computer's internet address and the time.

# Asked in this order until this many tokens are there. Two from different companies are harder to doubt than one.
wanted = 1

# Seconds to wait for each.
timeout = 20

# Believe the roots that come with the program (DigiCert Trusted Root G4, GlobalSign Root R6: companies that are audited
# for time-stamping, free to use, and listed by Windows, Apple and Mozilla). For another authority, put its root
# certificate (.pem, .crt, .cer or .der) in the folder time-roots beside this file, after comparing its fingerprint.
shipped_roots = true

[[authority]]
name = "DigiCert"
url = "http://timestamp.digicert.com"

[[authority]]
name = "GlobalSign"
url = "http://timestamp.globalsign.com/tsa/r6advanced1"
"""


@dataclass(frozen=True)
class Authority:
    """Somebody who signs the time. `url` may be plain http: what comes back is signed and is checked."""

    name: str
    url: str


@dataclass(frozen=True)
class Settings:
    """What `stamp.toml` says."""

    authorities: tuple[Authority, ...]
    wanted: int
    timeout_s: float
    shipped_roots: bool


@dataclass(frozen=True)
class Trust:
    """Roots that are believed about time. `faults`: files in the owner's folder that hold no certificate."""

    roots: tuple[Certificate, ...]
    faults: tuple[str, ...] = ()


def settings_path() -> Path:
    """Where the settings are."""
    return places.config_dir() / SETTINGS_FILE


def roots_folder() -> Path:
    """Where the owner puts further roots."""
    return places.config_dir() / ROOTS_FOLDER


def write_defaults() -> bool:
    """Write the settings with their comments if there are none yet; True if they were written."""
    path = settings_path()
    if path.exists():
        return False
    with replacing(path, mode=0o600) as file:
        file.write(DEFAULTS.encode())
    roots_folder().mkdir(mode=0o700, exist_ok=True)
    return True


def settings() -> Settings:
    """The settings, or the defaults where there are none. Raises UsageError if they cannot be understood."""
    path = settings_path()
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        text = DEFAULTS
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not text.", "Remove it: the next 'earwitness stamp' writes a new one.") from None
    try:
        return _settings(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be understood: {error}.", "Mend it, or remove it: a new one will be written."
        ) from None


def _settings(found: dict[str, Any]) -> Settings:
    unknown = found.keys() - {"authority", "wanted", "timeout", "shipped_roots"}
    if unknown:
        raise ValueError(f"there is no setting {sorted(unknown)[0]}")
    wanted, timeout, shipped = found.get("wanted", 1), found.get("timeout", 20), found.get("shipped_roots", True)
    if type(wanted) is not int or not 1 <= wanted <= 5:
        raise ValueError("wanted must be a number from 1 to 5")
    if type(timeout) not in (int, float) or not 0 < timeout <= 600:
        raise ValueError("timeout must be a number of seconds up to 600")
    if type(shipped) is not bool:
        raise ValueError("shipped_roots must be true or false")
    entries = found.get("authority", [])
    if not isinstance(entries, list):
        raise ValueError("each authority begins with [[authority]]")
    return Settings(tuple(_authority(entry) for entry in entries), wanted, float(timeout), shipped)


def _authority(entry: Any) -> Authority:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(field), str) for field in ("name", "url")):
        raise ValueError("each authority has a name and a url")
    try:
        parts = urlsplit(entry["url"])
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{entry['url']} is no web address")
    return Authority(entry["name"], entry["url"])


def trust() -> Trust:
    """Every root that is believed about time on this computer."""
    from cryptography import x509

    roots: list[Certificate] = []
    faults: list[str] = []
    if settings().shipped_roots:
        roots += x509.load_pem_x509_certificates(_SHIPPED.read_bytes())
    folder = roots_folder()
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() not in _SUFFIXES:
            continue
        data = path.read_bytes()
        try:
            roots += (
                x509.load_pem_x509_certificates(data) if b"-----" in data else [x509.load_der_x509_certificate(data)]
            )
        except ValueError:
            faults.append(f"{path.name} in {folder} holds no certificate")
    return Trust(tuple(roots), tuple(faults))
