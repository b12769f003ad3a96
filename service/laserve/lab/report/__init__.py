"""The report of ``laserve bench selection``: what choosing reward models is worth on one's own data.

`run` a study over a pool; `figures` of it as JSON values; from these alone, Markdown and a page of HTML.
"""
