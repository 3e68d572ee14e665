"""Photographs and recordings of a note, as a child's page shows them: what has arrived, and what is awaited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from server.console import words
from server.console.views_child import Attachment
from server.records.attachments import FormState, Named
from sync.media import MediaKind

NOUNS = {
    MediaKind.PHOTOGRAPH: ("photograph", "photographs"),
    MediaKind.AUDIO: ("recording", "recordings"),
    None: ("attachment", "attachments"),
}
REMARKS = {
    FormState.WAITING: "It has just arrived and is being made ready. Load the page again in a moment.",
    FormState.FAILED: "It cannot be shown here.",
}

Address = Callable[[str, str], str]
"""(digest, form) to the address of a picture."""


def told(named: Sequence[Named]) -> str | None:
    """How many of a note's attachments have arrived: "2 of 3 photographs have arrived"."""
    if not named:
        return None
    said = []
    for kind, (one, several) in NOUNS.items():
        mine = [each for each in named if each.kind is kind]
        if not mine:
            continue
        here = sum(each.kept is not None for each in mine)
        noun = one if len(mine) == 1 else several
        if here == len(mine):
            said.append(f"{len(mine)} {noun}")
        else:
            said.append(f"{here} of {len(mine)} {noun} {'has' if here == 1 else 'have'} arrived")
    return "; ".join(said)


def shown(named: Sequence[Named], address: Address, *, originals: bool) -> tuple[Attachment, ...]:
    """Those that have arrived, with where to look. `originals`: the reader may see them as they came."""
    found = []
    numbers: Counter[MediaKind | None] = Counter()
    for each in named:
        numbers[each.kind] += 1
        kept = each.kept
        if kept is None or each.kind is None:
            continue
        made = kept.form_state is FormState.MADE
        noun = NOUNS[each.kind][0].capitalize()
        found.append(
            Attachment(
                kind=each.kind.value,
                label=f"{noun} {numbers[each.kind]}"
                + (f", taken {words.exact(each.taken_at)}" if each.taken_at else ""),
                shown_href=address(kept.digest, "shown") if made else None,
                thumbnail_href=address(kept.digest, "thumbnail")
                if made and each.kind is MediaKind.PHOTOGRAPH
                else None,
                original_href=address(kept.digest, "original") if originals else None,
                remark=REMARKS.get(kept.form_state),
            )
        )
    return tuple(found)
