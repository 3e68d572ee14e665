"""The shapes of the search page. See `views` for the rules."""

from server.console.views import Grade, View


class SearchForm(View, frozen=True, kw_only=True):
    """What was typed, to be shown again and corrected."""

    text: str = ""
    given_names: str = ""
    family_name: str = ""
    born: str = ""
    school: str = ""
    phone: str = ""
    home: str = ""
    guardian: str = ""
    reference: str = ""
    reason: str = ""

    @property
    def has_fields(self) -> bool:
        """Whether anything but the one box was filled in."""
        return self != SearchForm(text=self.text)


class Agreeing(View, frozen=True, kw_only=True):
    """How one field compares: `verdict` is agree, near or differ, `words` how."""

    field: str
    verdict: str
    words: str


class SearchRow(View, frozen=True, kw_only=True):
    """A child that may be the one."""

    child_id: int
    name: str
    born: str
    """Date of birth and age, or about how old; empty where neither is known."""
    school: str | None
    borough: str | None
    standing: str | None
    """What to know of the record before using it: "Being reviewed", "Made from a note"."""
    restricted: bool
    probability: float | None
    grades: tuple[Grade, ...]
    agreeing: tuple[Agreeing, ...]


class SearchPage(View, frozen=True, kw_only=True):
    """The form, and below it what was found. `searched` False: only the form, with what can be typed."""

    form: SearchForm
    searched: bool = False
    told_back: tuple[tuple[str, str], ...] = ()
    rows: tuple[SearchRow, ...] = ()
    more: int = 0
    fitting: int = 0
    alerted_only: bool = False
    place: str = ""
    """The reader's own boroughs, in words."""
    ask: tuple[str, ...] = ()
    asks_reason: bool = False
    may_give_reason: bool = False
    incomplete: bool = False
    error: str | None = None
    gone: bool = False
    """The search that this address stood for has been put away."""
