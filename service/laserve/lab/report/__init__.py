"""Report of ``laserve bench selection``: the gain from choosing reward models on the user's data.

`run` makes a study of a pool, `figures` JSON values of the study; Markdown and HTML need only these.
"""
