"""Preference proxy evaluations of reward models: the metrics of PPE (arXiv 2410.14872).

``preferences`` and ``correctness`` measure one reward model on the rows of `laserve.lab.data.labelled`,
``domains`` measures each domain; ``evaluate`` runs the arms, ``report`` makes tables.
"""
