"""The pages' doors: thin controllers that turn records into views, and views into HTML.

- `web` has what all of them use: the frame, forms, redirects that stay here, what is said once afterwards.
- `desk` has who asks and the two shapes of a door: a page is shown, a form is taken.
- `alert_rows`, `note_words`, `child_story`, `around_child`, `comparing` and `columns` turn records into the shapes
  of `views`; they change nothing.
- `sign_in`, `alerts`, `alert_endings`, `alert_grading`, `children`, `reviews`, `pairs`, `same`, `search`,
  `overview`, `noticing`, `transfers`, `open_case`, `scrutiny`, `audit`, `administration`, `people`, `rules`,
  `telling` and `undelivered` are the doors.
- `errors` is the page of a failed request.
"""

from server.console.pages import (
    administration,
    alert_endings,
    alert_grading,
    alerts,
    audit,
    children,
    noticing,
    open_case,
    overview,
    pairs,
    people,
    reviews,
    rules,
    same,
    scrutiny,
    search,
    sign_in,
    telling,
    transfers,
    undelivered,
)
from server.console.pages.desk import provide_desk
from server.console.pages.errors import problem_page

HANDLERS = [
    *sign_in.HANDLERS,
    *alerts.HANDLERS,
    *alert_endings.HANDLERS,
    *alert_grading.HANDLERS,
    *children.HANDLERS,
    *overview.HANDLERS,
    *transfers.HANDLERS,
    *scrutiny.HANDLERS,
    *audit.HANDLERS,
    *noticing.HANDLERS,
    *open_case.HANDLERS,
    *reviews.HANDLERS,
    *pairs.HANDLERS,
    *same.HANDLERS,
    *search.HANDLERS,
    *administration.HANDLERS,
    *people.HANDLERS,
    *rules.HANDLERS,
    *telling.HANDLERS,
    *undelivered.HANDLERS,
]

__all__ = ["HANDLERS", "problem_page", "provide_desk"]
