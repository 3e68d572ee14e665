"""A row of a registry's file, made ready to be written: checked, standardised, and what it is found by.

Pure, so that an import can do it in other processes.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files

import msgspec

from server.audit import impersonal
from server.linkage.csv_rows import BadCell, described
from server.linkage.entries import Run, decode_entry, encode_entry, index_entry, run_of
from server.linkage.standardise import encode_record, standardise
from server.linkage.table import KNOWN_COLUMNS
from server.records.child import Circumstances, Details, encode_details

REGISTRY_COLUMNS = (
    *KNOWN_COLUMNS,
    "home_borough",
    "school_borough",
    "responsible_authority",
    "looked_after",
    "restricted",
)
REGISTRY_ID_LENGTH_MAX = 200  # an id is some dozen characters; more is another column

DIGEST_BYTES = 16
_APART = "\x1f"
_DECIDES_WHAT_IS_STORED = (
    "standardise.py", "blocking.py", "names.py", "letters.py", "scripts.py", "postcodes.py"
)  # fmt: skip
_AUTHORITY = re.compile(r"(?:E0[6-9]|E10|W06|S12|N09)[0-9]{6}")
"""The ONS code of a local authority. A name in its place would send the child's alerts to another force."""
_YES_NO = {"yes": True, "no": False}


class Ready(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A child of a registry as it is written into the database."""

    registry_id: str
    digest: bytes
    restricted: bool
    looked_after: bool
    home_borough: str | None
    school_borough: str | None
    responsible_authority: str | None
    owner_borough: str | None
    date_of_birth: str | None
    details: bytes
    record: bytes
    indexed: bytes
    """Its `entries.Entry`, encoded."""

    def boroughs(self) -> tuple[str, ...]:
        """Every borough that has to do with the child."""
        named = (self.home_borough, self.school_borough, self.responsible_authority)
        return tuple(code for code in dict.fromkeys(named) if code)


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Rows that are written in one transaction, and the index rows of all of them, sorted."""

    rows: list[Ready]
    run: Run


_encode = msgspec.msgpack.Encoder().encode
_decode_cells = msgspec.msgpack.Decoder(list[list[str]]).decode
_decode = msgspec.msgpack.Decoder(Batch).decode


@impersonal("a fingerprint of the program")
@cache
def made_by() -> bytes:
    """A fingerprint of the code that standardises: rows stored by other code are stored anew."""
    folder = files("server.linkage")
    tables = sorted(
        (one for one in (folder / "data").iterdir() if one.name.endswith(".txt")), key=lambda one: one.name
    )
    parts = [*(folder / name for name in _DECIDES_WHAT_IS_STORED), *tables]
    others = version("anyascii").encode()
    return hashlib.sha256(b"".join(part.read_bytes() for part in parts) + others).digest()


@impersonal("reads a file's row and no database")
def digest_of(columns: Sequence[str], cells: Sequence[str]) -> bytes:
    """A fingerprint of a row, whatever order its columns have and however many are left out."""
    if tuple(columns) != REGISTRY_COLUMNS:
        row = dict(zip(columns, cells, strict=True))
        cells = [row.get(column, "") for column in REGISTRY_COLUMNS]
    text = _APART.join(cells)
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES, key=made_by()).digest()


@impersonal("reads a file's row and no database")
def read_row(columns: Sequence[str], cells: Sequence[str]) -> tuple[str, Details, Circumstances]:
    """(id in the registry, who the child is, what decides who owns it). Raises BadCell."""
    row = {column: cell for column, cell in zip(columns, cells, strict=True) if cell}
    registry_id = row.get("child_id")
    if not registry_id:
        raise BadCell("child_id", "is empty. Every child needs one.")
    if len(registry_id) > REGISTRY_ID_LENGTH_MAX:
        raise BadCell("child_id", f"is longer than {REGISTRY_ID_LENGTH_MAX} characters. Check the columns.")
    said = described(row)
    details = Details(
        given_names=said.given_names,
        family_name=said.family_name,
        aliases=said.aliases,
        date_of_birth=said.date_of_birth,
        sex=said.sex,
        address=said.address,
        postcode=said.postcode,
        school=said.school,
        phone=said.phone,
        guardian=said.guardian,
        upn=said.upn,
        nhs_number=said.nhs_number,
    )
    circumstances = Circumstances(
        home_borough=_authority(row, "home_borough"),
        school_borough=_authority(row, "school_borough"),
        responsible_authority=_authority(row, "responsible_authority"),
        looked_after=_yes(row, "looked_after"),
        restricted=_yes(row, "restricted"),
    )
    return registry_id, details, circumstances


@impersonal("reads a file's row and no database")
def make_ready(columns: Sequence[str], cells: Sequence[str]) -> Ready:
    """A row as it is written. Raises BadCell."""
    registry_id, details, circumstances = read_row(columns, cells)
    record = standardise(details.description())
    return Ready(
        registry_id=registry_id,
        digest=digest_of(columns, cells),
        restricted=circumstances.restricted,
        looked_after=circumstances.looked_after,
        home_borough=circumstances.home_borough,
        school_borough=circumstances.school_borough,
        responsible_authority=circumstances.responsible_authority,
        owner_borough=circumstances.owner(),
        date_of_birth=details.date_of_birth.isoformat() if details.date_of_birth else None,
        details=encode_details(details),
        record=encode_record(record),
        indexed=encode_entry(index_entry(record)),
    )


@impersonal("reads rows of a file and no database")
def pack_cells(rows: Sequence[Sequence[str]]) -> bytes:
    """The cells of many rows, packed for the way to another process (faster than pickling them)."""
    return _encode(rows)


@impersonal("reads rows of a file and no database")
def make_many_ready(columns: Sequence[str], cells: bytes) -> bytes:
    """The rows that `pack_cells` packed, made ready and packed for the way back; `unpack` reads them."""
    ready = [make_ready(columns, one) for one in _decode_cells(cells)]
    return _encode(Batch(ready, run_of([decode_entry(row.indexed) for row in ready])))


@impersonal("reads rows of a file and no database")
def unpack(packed: bytes) -> Batch:
    """The rows that another process made ready."""
    return _decode(packed)


def _authority(row: dict[str, str], column: str) -> str | None:
    code = row.get(column)
    if code is not None and _AUTHORITY.fullmatch(code) is None:
        raise BadCell(
            column, "is not the ONS code of a local authority. Write it as E09000028, or leave it empty."
        )
    return code


def _yes(row: dict[str, str], column: str) -> bool:
    said = row.get(column, "no").lower()
    if said not in _YES_NO:
        raise BadCell(column, "is neither yes nor no. Write one of the two.")
    return _YES_NO[said]
