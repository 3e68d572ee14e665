"""The investigator's pages: server-rendered, small, and usable without JavaScript (live updates apart).

- `views` holds the shapes that templates take, and nothing else reaches a template.
- `words` turns instants, clocks, ages, weights and probabilities into plain English. Pure.
- `render` owns the Jinja environment, the addresses of assets and the content security policy.
- `assets` builds style sheets and vendored scripts into `static/vendor/` (see there).
"""
