"""The newsroom: a seeded generator of the synthetic data of the default tasks.

`python -m stages.newsroom` writes it. It draws events of twelve types with invented people, firms
and towns (`events`, `names`) and two reports of each (`reports`). The files of each task are a view
of these reports (`views`, `write`); one pass writes them all (`build`).
"""
