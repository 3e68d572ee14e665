"""A named limit on everything, with its reason. Both sides import them; hello repeats them to the phone."""

import msgspec

KIBIBYTE = 1024
MEBIBYTE = 1024 * KIBIBYTE

OPS_PER_PUSH_MAX = 200
"""A phone on a bad line should lose at most one short request; 200 notes of 1.5 kB are about 300 kB."""

OP_BYTES_MAX = 256 * KIBIBYTE
"""One op: some 30 printed pages. A phone refuses to write a longer one; photographs do not travel in ops."""

PUSH_WIRE_BYTES_MAX = 4 * MEBIBYTE
"""A push as it travels, compressed or not."""

PUSH_UNPACKED_BYTES_MAX = 16 * MEBIBYTE
"""A push after decompression, so that a small bomb cannot fill the server's memory."""

PULL_CHANGES_MAX = 500
"""Changes in one page: a page stays below about 1 MB, which a weak line carries in seconds."""

TEXT_CHARACTERS_MAX = 20_000
"""One free text of a note: about eight printed pages, more than anyone writes on a phone."""

SHORT_TEXT_CHARACTERS_MAX = 500
"""One line: a name, an address, a school."""

SUBJECTS_PER_NOTE_MAX = 20
"""A note about a crowd is several notes; linkage does work for each subject."""

ALIASES_PER_SUBJECT_MAX = 20
CATEGORIES_PER_NOTE_MAX = 10
BLOBS_PER_OP_MAX = 30

ATTACHMENT_BYTES_MAX = 100_000_000
"""One photograph or recording: an hour of speech, or the largest picture of a phone ten times over."""

CLOCK_AHEAD_MS_MAX = 24 * 60 * 60 * 1000
"""A note observed more than a day after the server received it has a wrong clock or a mistyped date."""

OBSERVED_BEFORE_MS_MAX = 25 * 366 * 24 * 60 * 60 * 1000
"""Nobody writes a field note about what was seen before the oldest child was born."""

SEQ_MAX = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""

RECEIPT_HASHES_MAX = OPS_PER_PUSH_MAX
ASSERTION_LIFETIME_S_MAX = 300
"""A signed assertion is good for five minutes, so that a stolen one is worth little (RFC 7523, section 3)."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits a phone must keep to, as hello announces them. A server may announce smaller ones."""

    ops_per_push: int = OPS_PER_PUSH_MAX
    op_bytes: int = OP_BYTES_MAX
    push_wire_bytes: int = PUSH_WIRE_BYTES_MAX
    push_unpacked_bytes: int = PUSH_UNPACKED_BYTES_MAX
    pull_changes: int = PULL_CHANGES_MAX
    attachment_bytes: int = ATTACHMENT_BYTES_MAX
