"""One run of a controlled diffusion-model experiment: data, model, training, evaluation, record.

This package does not depend on sweeps. `factorlab.trial` trains configurations and writes their
records. `factorlab.storage.record` reads the records back. The exception is `factorlab.api`, the
Python face of all packages, which imports them inside its functions.

Papers are cited as [W] (Liang, Liu and Fiete 2024, "Do diffusion models learn semantically
meaningful and efficient representations?", arXiv 2402.03305) and [F] (Liang, Liu, Ostrow and Fiete
2024, "How diffusion models learn to factorize and compose", arXiv 2408.13256). "Our choice" and
"our definition" mark what the papers leave open.
"""
