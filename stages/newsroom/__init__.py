"""The newsroom: a seeded generator of the synthetic world that the default tasks are views of.

`python -m stages.newsroom` writes it. Events of twelve types befall invented people, firms and
towns (`events`, `names`); two desks report each (`reports`); every task's files are a view of these
reports (`views`, `write`), in one pass (`build`).
"""
