"""Preference proxy evaluations of reward models: the metrics of PPE (arXiv 2410.14872).

``preferences`` and ``correctness`` measure one reward model on rows of `laserve.lab.data`,
``domains`` measures each domain; ``evaluate`` runs the arms, ``report`` makes tables.
"""
