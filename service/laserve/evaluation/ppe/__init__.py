"""Preference proxy evaluations of reward models: the metrics of PPE (arXiv 2410.14872).

``rows`` reads preferences and right and wrong answers; ``preferences`` and ``correctness`` measure one reward
model on them, ``domains`` does so for each domain; ``evaluation`` asks the arms, ``report`` prints.
"""
